"""`commission`: refused without counters, stopped without a trace, kept with its id; rehearsed on a live tree."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest

from cluster.cli.commission import Lines, Live, forecast_text, judged_text, progress_for, verdict_lines
from jobs.commission import registry
from jobs.commission.lengths import Forecast
from jobs.commission.steps import At, Begun, Event, Judged, Step
from jobs.commission.verdict import Verdict, finding
from jobs.environment import identify, node_uid
from tests.cluster.cli.calling import Invoke
from tests.feeder.live import LiveMachine
from tests.feeder.machine import Machine
from tests.jobs.host_tree import HostTree

GOOD = finding("clock", "Clock", Verdict.OK, "tsc", why="w")
BAD = finding("quiet", "Quiet", Verdict.WARN, "others kept 0.3 CPUs busy", why="it is in every number", cure="top")
POWER = {"pkg0": "150", "pkg1": "140", "dram0": "12", "dram1": "11"}
EVENTS: list[Event] = [
    Begun(forecast=Forecast(total_s=4500, stress_s=1650, at_most=False)),
    Judged(step=Step.FACTS, findings=(GOOD, BAD)),
    At(step=Step.IDLE, fraction=0.25, detail="", left_s=4000),
    At(step=Step.IDLE, fraction=0.26, detail="", left_s=3990),
    At(step=Step.STRESS, fraction=None, detail="starting the load", left_s=1650),
]


@contextmanager
def live_tree(folder: Path) -> Iterator[Path]:
    """A host whose package counters wrap every ten seconds or so."""
    host = HostTree(folder)
    machine = Machine(root=folder, power=POWER, range_j={"pkg0": 1500.0, "pkg1": 1450.0})
    for domain, counter in machine.counters.items():
        host.powercap.path(domain).chmod(0o640)
        host.powercap.path(domain, "max_energy_range_uj").write_text(f"{counter.range_uj}\n")
    with LiveMachine(machine):
        yield folder


def left_running(mark: str) -> list[str]:
    """Command lines of processes that carry a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes() and (folder / "cmdline").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def interrupted(root: Path, at: Step, how: signal.Signals) -> tuple[int, list[str]]:
    """Start `commission --quick`, stop it at a step; its exit code and what it left running."""
    mark = f"commission-{uuid4()}"
    command = [sys.executable, "-m", "cluster.cli", "commission", "--quick", "--root", str(root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "MARK": mark}) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if f"Z {at};" in line:
                time.sleep(2 if at is Step.STRESS else 0.5)
                process.send_signal(how)
        code = process.wait()
    deadline = time.monotonic() + 10
    while left_running(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    return code, left_running(mark)


def test_a_machine_without_counters_is_refused_and_nothing_is_made(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "root").mkdir()
    said = invoke("commission", "--root", "root", "--out", "out")
    assert (said.exit_code, said.stdout) == (5, "")
    assert "nothing to commission" in said.stderr
    assert "modprobe" in said.stderr
    assert list((tmp_path / "root").iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_node_that_was_never_commissioned_has_an_empty_list(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "root").mkdir()
    said = invoke("commission", "--list", "--root", "root")
    assert (said.exit_code, said.stdout) == (0, "")
    assert "sipa-cluster commission" in said.stderr
    assert invoke("commission", "--list", "--json", "--root", "root").stdout == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_rehearsal_crosses_wraps_and_is_kept(tmp_path: Path, invoke: Invoke) -> None:
    with live_tree(tmp_path / "root") as root:
        said = invoke("commission", "--quick", "--json", "--root", "root", "--out", "out")
    assert said.exit_code == 0, said.stderr
    record = json.loads(said.stdout)
    verdicts = {each["key"]: each["verdict"] for each in record["findings"]}
    assert verdicts["wrap"] == verdicts["counters"] == verdicts["energy-filter"] == "ok"
    assert "nothing but the program" in record["caveat"]
    values = json.loads(Path(record["json"]).read_bytes())
    assert registry.commission_id(values) == record["commission_id"] == values["commission_id"]
    assert record["commission_id"] in Path(record["html"]).read_text()
    assert Path(record["json"]).parent == Path("out")
    assert identify(root).columns["commission_id"] == record["commission_id"]
    assert [each["energy_total_j"] is not None for each in values["repeated"]["runs"]] == [True] * 3
    listed = invoke("commission", "--list", "--root", "root")
    assert record["commission_id"] in listed.stdout
    assert "quick" in listed.stdout
    assert json.loads(invoke("commission", "--list", "--json", "--root", "root").stdout)["quick"] is True
    for step in Step:
        assert f"Z {step}" in said.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stopped_when_idle_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    with live_tree(tmp_path / "root") as root:
        code, running = interrupted(root, Step.IDLE, how)
    assert (code, running) == (130, [])
    assert registry.kept(node_uid(root), root) == []
    assert list((root / registry.SYSTEM).rglob("*.*")) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("how", "expected"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_what_is_stopped_under_load_leaves_nothing(tmp_path: Path, how: signal.Signals, expected: int) -> None:
    with live_tree(tmp_path / "root") as root:
        code, running = interrupted(root, Step.STRESS, how)
    assert (code, running) == (expected, [])
    assert list((root / registry.SYSTEM).rglob("*.*")) == []


def test_verdicts_as_lines() -> None:
    assert list(verdict_lines([GOOD, BAD], width=80)) == [
        "ok       Clock  tsc",
        "WARN     Quiet  others kept 0.3 CPUs busy",
        "         why   it is in every number",
        "         cure  top",
    ]


def test_plain_progress_is_a_line_a_step() -> None:
    stream = StringIO()
    with Lines(stream) as lines:
        for event in EVENTS:
            lines(event)
        lines.waiting("process 7")
    told = [line.partition("Z ")[2] for line in stream.getvalue().splitlines()]
    assert told[0].startswith("commissioning takes about 1 h 15 min, 27 min 30 s of it the stress until a real wrap;")
    assert told[1:] == [
        "facts: 1 warn, 1 ok; Quiet (warn): others kept 0.3 CPUs busy",
        "idle 25%; 1 h 06 min to go",
        "stress, starting the load; 27 min 30 s to go",
        "waiting: process 7",
    ]


def test_a_forecast_that_is_a_limit_says_so() -> None:
    assert forecast_text(Forecast(total_s=60, stress_s=20, at_most=True)).startswith(
        "commissioning takes at most 1 min 00 s, 20 s of it the stress;"
    )


def test_what_is_well_is_not_named() -> None:
    assert judged_text("facts", [GOOD]) == "facts: 1 ok"


def test_a_terminal_shows_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with progress_for(stream) as live:
        assert isinstance(live, Live)
        for event in EVENTS:
            live(event)
        live.waiting("process 7")
    shown = stream.getvalue()
    assert "facts: 1 warn, 1 ok; Quiet (warn)" in shown
    assert "waiting: process 7" in shown
    assert isinstance(progress_for(StringIO()), Lines)
