"""The control workload for real: on a fake tree that draws power, with counters that fail, killed, and orphaned."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.control import CONTROL_ORDERS, Amounts, ControlOrder, amounts, control_id, has_net, result, run_control
from jobs.control_process import prepare
from jobs.cooldown import cool_down
from jobs.environment import available_cpus
from jobs.lock import exclusive
from jobs.processes import session_processes
from jobs.rest import Rest
from jobs.session import Session, open_session
from jobs.watch import Progress
from sipa.errors import UsageError
from sipa.spec.model import Meter
from tests.jobs.orders import measurement
from tests.sipa.energy.powercap_tree import LiveFeeder, PowercapTree

POWER_W = {"pkg0": 50.0, "pkg1": 40.0, "dram0": 5.0, "dram1": 4.0}


def control_order(folder: Path, root: Path, control_s: float) -> ControlOrder:
    return ControlOrder(
        session_id="s1",
        node="here",
        sequence=2,
        after_block=1,
        measurement=measurement(meter=(Meter.POWERCAP,), model=None, control_s=control_s),
        workspace=folder / "work",
        log=folder / "controls" / "control.log",
        root=root,
    )


@contextmanager
def opened(order: ControlOrder, folder: Path, abort: threading.Event | None = None) -> Iterator[Session]:
    session = open_session(order.measurement, root=order.root, lock=folder / "lock", abort=abort or threading.Event())
    try:
        yield session
    finally:
        session.close()


class TestTheWork:
    def test_a_nominal_second_is_this_work_for_ever(self) -> None:
        """Other numbers are another version: every control that was ever kept is compared by them."""
        assert amounts(60, net=True) == Amounts(net=12_000, loop=10_500)
        assert amounts(60, net=False) == Amounts(net=0, loop=21_000)

    @given(st.floats(1e-6, 86_400), st.booleans())
    def test_some_of_each_part_is_always_done(self, control_s: float, net: bool) -> None:
        found = amounts(control_s, net=net)
        assert found.loop >= 1
        assert (found.net >= 1) == net

    def test_its_name_says_what_it_is(self) -> None:
        assert control_id(60, net=True, processes=96) == "v1 net+loop 60 s x 96"
        assert control_id(0.5, net=False, processes=2) == "v1 loop 0.5 s x 2"

    def test_the_loop_alone_needs_nothing_installed(self) -> None:
        code = (
            "import sys; from jobs.control import Amounts; from jobs.control_process import prepare; "
            "prepare(Amounts(net=0, loop=3))(1.0); print('torch' in sys.modules)"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ended.stdout.strip() == "False"

    def test_work_can_be_done_in_shares(self) -> None:
        prepare(Amounts(net=0, loop=1))(0.1)


class TestOnATree:
    def test_it_is_measured_like_a_trial(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 0.2)
        said: list[Progress] = []
        with LiveFeeder(tree, POWER_W), opened(order, tmp_path) as session:
            found = run_control(order, session, said.append)
            assert session.control == found
            assert session.idle is None
        assert found.reason == ""
        assert found.control_id == control_id(0.2, net=has_net(), processes=available_cpus())
        assert (found.node, found.sequence, found.after_block) == ("here", 2, 1)
        assert found.environment_id
        assert found.energy_total_j is not None
        assert found.energy_pkg_j is not None
        # The feeder may be late by what else runs here; power is what it feeds, within a fifth.
        assert found.energy_total_j == pytest.approx(99 * found.duration_s, rel=0.2)
        assert found.energy_pkg_j / found.energy_total_j == pytest.approx(90 / 99, rel=0.01)
        assert [each.phase for each in said] == ["load", "warmup", "control"]
        assert {each.trial_id for each in said} == {"control"}
        assert order.log.exists()

    def test_a_counter_that_goes_away_is_a_reason_and_no_number(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 0.05)
        with opened(order, tmp_path) as session:
            tree.show("dram1", b"")
            found = run_control(order, session, lambda _: None)
        assert found.energy_total_j is None
        assert found.energy_pkg_j is None
        assert "dram" in found.reason or "energy_uj" in found.reason
        assert session.control == found

    def test_one_that_breaks_off_leaves_no_idle_window_and_no_older_control(self, tmp_path: Path) -> None:
        """The next rows would bear the joules of a control that was not theirs, and net of a node that was cooler."""
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 0.05)

        def report(_: Progress) -> None:
            raise RuntimeError("nobody listens")

        with opened(order, tmp_path) as session:
            cool = cool_down(lambda: None, None, order.measurement, abort=lambda: False, report=lambda *_: None)
            session.idle = Rest(cooldown=cool, idle=None, temperature_c=None)
            session.control = result(order, environment_id="e", started_at="2026-01-01T12:00:00+00:00")
            with pytest.raises(RuntimeError):
                run_control(order, session, report)
            assert session.idle is session.control is None

    def test_it_takes_the_nodes_lock(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 0.05)
        said: list[Progress] = []
        abort = threading.Event()

        def report(progress: Progress) -> None:
            said.append(progress)
            abort.set()

        with opened(order, tmp_path, abort) as session:
            held = exclusive(session.lock, waiting=lambda _: None, give_up=lambda: False)
            with held:
                found = run_control(order, session, report)
        assert [each.phase for each in said] == ["waiting"]
        assert "holds the lock" in found.reason

    def test_a_user_who_stops_it_gets_no_result_at_once(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 600)
        abort = threading.Event()

        def report(progress: Progress) -> None:
            if progress.phase == "warmup":
                abort.set()

        with LiveFeeder(tree, POWER_W), opened(order, tmp_path, abort) as session:
            found = run_control(order, session, report)
        assert found.reason == "stopped at once on request"
        assert found.energy_total_j is None

    def test_what_is_in_its_way_is_a_reason(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 0.05)
        (tmp_path / "work").write_text("a file")
        with opened(order, tmp_path) as session:
            found = run_control(order, session, lambda _: None)
        assert "work" in found.reason


def run_code(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


CREW = """
import os
from jobs.control_process import start
from sipa.errors import TrialError

def work(share):
    if {when}:
        raise MemoryError("no more")

crew = start(work, [0, 0, 0])
try:
    crew.wait_until_ready()
    crew.run()
    print("all well")
except TrialError as error:
    print(error)
"""


class TestChildren:
    @pytest.mark.parametrize(
        ("when", "said"),
        [
            ("False", "all well"),
            ("share < 1", "3 of 3 processes died while warming up"),
            ("share == 1", "3 of 3 processes ended with 6"),
        ],
    )
    def test_one_that_fails_is_noticed(self, when: str, said: str) -> None:
        ended = run_code(CREW.format(when=when))
        assert ended.stdout.strip() == said
        assert ("MemoryError" in ended.stderr) == (when != "False"), "the log has the reason"

    def test_they_end_with_the_worker(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 20)
        with started(order) as process:
            assert len(list(session_processes(process.pid))) == 1 + available_cpus()
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=30)
            wait_until_gone(process.pid)


@contextmanager
def started(order: ControlOrder) -> "Iterator[subprocess.Popen[bytes]]":
    """The control's own process as a worker starts it, when its children are at work."""
    from pydantic import TypeAdapter

    order.workspace.mkdir()
    order.file.write_bytes(TypeAdapter(ControlOrder).dump_json(order))
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs", "control", str(order.file), "--lifeline", "--messages", str(writer)],
        stdin=subprocess.PIPE,
        pass_fds=(writer,),
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as messages:
            for line in messages:
                if json.loads(line)["phase"] == "control":
                    break
            yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_gone(session: int) -> None:
    deadline = time.monotonic() + 30
    while any(each.alive for each in session_processes(session)):
        assert time.monotonic() < deadline, "children of the control live on"
        time.sleep(0.05)


class TestOrders:
    def test_an_order_survives_its_file(self, tmp_path: Path) -> None:
        tree = PowercapTree(tmp_path / "root")
        order = control_order(tmp_path, tree.root, 0.05)
        with LiveFeeder(tree, POWER_W), opened(order, tmp_path) as session:
            run_control(order, session, lambda _: None)
        assert CONTROL_ORDERS.read(order.file) == order

    def test_what_is_no_order_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text("{}")
        with pytest.raises(UsageError, match=r"x\.json: not a control order: session_id"):
            CONTROL_ORDERS.read(tmp_path / "x.json")
        with pytest.raises(UsageError, match="cannot be read"):
            CONTROL_ORDERS.read(tmp_path / "y.json")
