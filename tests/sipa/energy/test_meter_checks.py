"""A check that runs along: in the same windows, outside of the source's reads, and gone when the meter is."""

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sipa.energy import EnergyMeter, Flag, MeterKind, Quality
from sipa.energy.perf_event import PerfSource
from sipa.energy.readings import Domain
from sipa.errors import MeterError
from tests.sipa.energy.fake_clock import FakeClock, run
from tests.sipa.energy.perf_tree import DUMMY, clocks
from tests.sipa.energy.powercap_tree import LiveFeeder, PowercapTree
from tests.sipa.energy.process import descriptors, guards, in_child

pytestmark = [pytest.mark.perf, pytest.mark.usefixtures("perf")]

BOTH = ("powercap", "perf")


@pytest.fixture
def both(tree: PowercapTree) -> PowercapTree:
    """A server with powercap zones and, for its first socket, a PMU that counts one watt."""
    clocks(tree.root)
    return tree


def test_two_sources_in_one_window_agree(both: PowercapTree, clock: FakeClock) -> None:
    """The window is short by its clock, so that scheduling between the reads is no disagreement."""
    witness = PerfSource(both.root)
    with EnergyMeter(BOTH, root=both.root, clock=clock) as meter:
        first = witness.read().values_uj
        with meter.window() as window:
            sum(range(10**6))
            counted = {name: (value - first[name]) / 1e6 for name, value in witness.read().values_uj.items()}
            run(both, clock, 0.001)
            for name, joules in counted.items():
                both.advance(name, joules)
    witness.close()
    [check] = window.checks
    assert (meter.kind, meter.checks, window.source, check.source) == ("powercap", ("perf",), "powercap", "perf")
    assert set(window.by_domain) == {"pkg0", "pkg1", "dram0", "dram1"}
    assert set(check.by_domain) == {"pkg0", "dram0"}
    assert check.disagreements == ()
    assert Flag.CROSS_CHECK not in window.flags
    assert check.package_j == check.by_domain["pkg0"].joules


@pytest.mark.parametrize("names", [BOTH, ("perf", "powercap")])
def test_a_source_that_counts_something_else_is_told_on(
    both: PowercapTree, clock: FakeClock, names: tuple[str, ...]
) -> None:
    with EnergyMeter(names, root=both.root, clock=clock) as meter, meter.window() as window:
        run(both, clock, 10, pkg0=100, pkg1=100, dram0=10, dram1=10)
    assert window.source == names[0]
    assert window.flags == (Flag.CROSS_CHECK,)
    assert len(window.disagreements) == 2
    line = next(line for line in window.disagreements if line.startswith("pkg0: "))
    assert "powercap " in line
    assert "999.9999 J" in line
    assert "sipa-cluster commission" in line
    assert all(line in window.reason for line in window.disagreements)
    assert window.quality is Quality.MEASURED
    assert f"{names[1]} DISAGREES" in str(window.energy)


def test_a_check_that_fails_is_no_disagreement_and_spoils_nothing(tree: PowercapTree, clock: FakeClock) -> None:
    """An event that never counts stands for a register that is dead."""
    pmu = clocks(tree.root)
    pmu.write("events/energy-pkg", f"event={DUMMY:#04x}")
    with EnergyMeter(BOTH, root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 10, pkg0=1, pkg1=1, dram0=1, dram1=1)
    [check] = window.checks
    assert check.package_j is None
    assert "it does not count" in (check.by_domain["pkg0"].reason or "")
    assert not any(line.startswith("pkg0") for line in check.disagreements)
    assert window.total_j == pytest.approx(40, abs=1e-3)


def test_the_sources_reads_lie_next_to_the_work_and_the_checks_outside(both: PowercapTree) -> None:
    with EnergyMeter(BOTH, root=both.root) as meter:
        token = meter.begin()
        window = meter.end(token)
        assert window.edges is not None
        begin, end = window.edges
        [before], after = token.checks, meter._checks[0].mark
    assert after is not None
    assert before.begin_ns <= before.end_ns <= begin.begin_ns <= begin.end_ns
    assert begin.end_ns == window.begin_ns <= window.end_ns == end.begin_ns
    assert end.end_ns <= after.begin_ns <= after.end_ns


def test_why_a_check_does_not_run_along_is_said(both: PowercapTree) -> None:
    both.path("pkg1", "max_energy_range_uj").unlink()
    with EnergyMeter(("perf", "powercap"), root=both.root) as meter:
        assert (meter.kind, meter.checks) == (MeterKind.PERF, ())
        [reason] = meter.passed_over
    assert reason.startswith("powercap: ")
    assert "max_energy_range_uj: shows no range" in reason
    assert "checked by" not in repr(meter)


def test_a_meter_with_a_check_closes_everything_once(both: PowercapTree) -> None:
    before = descriptors()
    meter = EnergyMeter(BOTH, root=both.root)
    assert len(guards()) == 1
    assert repr(meter) == "<EnergyMeter powercap: pkg0, pkg1, dram0, dram1, checked by perf>"
    token = meter.begin()
    meter.close()
    meter.close()
    assert (descriptors(), guards()) == (before, [])
    with pytest.raises(MeterError, match="meter is closed"):
        meter.end(token)


def test_a_forgotten_meter_lets_the_checks_descriptors_go(both: PowercapTree) -> None:
    before = descriptors()
    meter = EnergyMeter(BOTH, root=both.root)
    meter._stop.set()
    del meter
    gc.collect()
    assert descriptors() == before


def test_a_fork_renews_source_and_check(both: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter(BOTH, root=both.root, clock=clock) as meter:
        before = meter.begin("across")
        inherited = descriptors()

        def work() -> dict[str, object]:
            idle = len(inherited & descriptors())
            run(both, clock, 1, pkg0=100)
            across = meter.end(before)
            busy = len(guards())
            meter.close()
            return {
                "let go": len(inherited) - idle,
                "guards": busy,
                "source": across.by_domain["pkg0"].joules,
                "check": across.checks[0].by_domain["pkg0"].reason,
                "disagreements": across.disagreements,
            }

        found = in_child(work)
        assert isinstance(found, dict)
        assert found["let go"] >= 6
        assert (found["guards"], found["disagreements"]) == (1, [])
        assert found["source"] == pytest.approx(100, abs=1e-4)
        assert "opened anew" in str(found["check"])
        assert meter.end(before).checks[0].by_domain["pkg0"].joules is not None


def test_a_fork_while_the_lock_is_held_does_not_hang_the_child(both: PowercapTree) -> None:
    with EnergyMeter(BOTH, root=both.root, trace_s=1.0) as meter, meter._lock:
        assert in_child(lambda: len(meter.trace(meter.end(meter.begin())))) == 6 - 2


def test_no_child_process_is_started_for_a_check(both: PowercapTree) -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text()
    with EnergyMeter(BOTH, root=both.root) as meter, meter.window():
        assert children.read_text() == before


def test_windows_of_many_threads_beside_the_guard(both: PowercapTree) -> None:
    """Every thread's windows hold at least the clock's joules of its own time, whoever else reads meanwhile."""

    def windows(meter: EnergyMeter) -> Iterator[str]:
        for _ in range(10):
            token = meter.begin()
            begin_ns = time.monotonic_ns()
            time.sleep(0.01)
            inside_s = (time.monotonic_ns() - begin_ns) / 1e9
            window = meter.end(token)
            found = window.checks[0].by_domain["pkg0"].joules
            if found is None or found < inside_s * 0.999 - 1e-5:
                yield f"{found} {inside_s} {window.reason}"

    with (
        LiveFeeder(both, dict.fromkeys(both.ids, 1.0), hz=200),
        EnergyMeter(BOTH, root=both.root, trace_s=0.005) as meter,
        ThreadPoolExecutor(4) as pool,
    ):
        found = [pool.submit(lambda: list(windows(meter))) for _ in range(4)]
        assert [each.result() for each in found] == [[], [], [], []]


def test_the_guard_reads_as_often_as_the_most_demanding_counter_wants(both: PowercapTree) -> None:
    with EnergyMeter(BOTH, root=both.root) as meter:
        domains: list[Domain] = [domain for channel in meter._channels for domain in channel.domains]
        assert min(domain.max_gap_ns for domain in domains) / 4e9 == pytest.approx(32_768 / 330 / 4, rel=1e-6)
        assert meter._guard_s == pytest.approx(32_768 / 330 / 4, rel=1e-6)
    with EnergyMeter(BOTH, root=both.root, trace_s=1.0) as meter:
        assert meter._guard_s == 1.0
