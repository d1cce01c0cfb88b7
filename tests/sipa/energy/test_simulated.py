"""Hours of simulated time through real counter files: exact to the count with a guard, unknown without one."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipa.energy import EnergyMeter, EnergyWindow, Quality
from sipa.energy.meter import guard_interval_s
from sipa.energy.readings import Domain, DomainKind, Mark, Reading, advance
from sipa.energy.window import energies_between
from tests.sipa.energy.fake_clock import FakeClock
from tests.sipa.energy.powercap_tree import DRAM_NJ, INTEL_NJ, PowercapTree

HOUR_S = 3600
UNIT_NJ = {"pkg0": INTEL_NJ, "pkg1": INTEL_NJ, "dram0": DRAM_NJ, "dram1": DRAM_NJ}


@dataclass
class Hours:
    """A machine whose time passes at once, with a guard that reads when the real one would.

    Attributes:
        tree: its counters.
        clock: its time.
        meter: reads them.
        guarded: whether the guard reads.
    """

    tree: PowercapTree
    clock: FakeClock
    meter: EnergyMeter
    guarded: bool = True
    _to_guard_s: float = field(default=0.0, init=False)

    def pass_s(self, seconds: float, power_w: Mapping[str, float]) -> None:
        """Let time pass at these powers, stopping wherever the guard reads."""
        interval_s = guard_interval_s(self.meter.domains)
        while seconds > 0:
            step_s = min(seconds, interval_s - self._to_guard_s)
            for domain, watts in power_w.items():
                self.tree.advance(domain, watts * step_s)
            self.clock.sleep(step_s)
            self._to_guard_s += step_s
            seconds -= step_s
            if self._to_guard_s >= interval_s:
                self._to_guard_s = 0.0
                if self.guarded:
                    self.meter.poll()

    def counts(self) -> dict[str, int]:
        """How many counts each counter has made, wraps and all: the truth."""
        return {domain: round(self.tree.energy_j(domain) * 1e9) // unit for domain, unit in UNIT_NJ.items()}


@contextmanager
def hours(*, limit_w: float = 350, left_j: float | None = None, guarded: bool = True) -> Iterator[Hours]:
    """A server of which each package may draw so much."""
    with tempfile.TemporaryDirectory() as folder:
        tree, clock = PowercapTree(Path(folder)), FakeClock()
        for package in ("pkg0", "pkg1"):
            tree.path(package, "constraint_0_max_power_uw").write_text(f"{round(limit_w * 1e6)}\n")
            if left_j is not None:
                tree.wraps_after(package, left_j)
        with EnergyMeter(["powercap"], root=tree.root, clock=clock) as meter:
            yield Hours(tree, clock, meter, guarded)


def counted(window: EnergyWindow) -> dict[str, int | None]:
    """What a window found, in counts."""
    return {
        domain: None if each.joules is None else round(each.joules * 1e9 / UNIT_NJ[domain])
        for domain, each in window.by_domain.items()
    }


def differences(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {domain: after[domain] - before[domain] for domain in after}


def test_three_hours_at_350_watts_a_package_are_exact_to_the_count() -> None:
    with hours(left_j=1) as machine:
        before = machine.counts()
        with machine.meter.window() as window:
            machine.pass_s(3 * HOUR_S, {"pkg0": 350, "pkg1": 350, "dram0": 40, "dram1": 38})
        found, truth = counted(window.energy), differences(machine.counts(), before)
    assert found == truth
    assert window.package_j == pytest.approx(2 * 3_780_000, abs=2 * INTEL_NJ / 1e9)
    assert [window.by_domain[domain].wraps for domain in UNIT_NJ] == [15, 15, 6, 6]
    assert (window.quality, window.flags, window.reason) == (Quality.MEASURED, (), None)


def test_the_same_without_a_guard_is_unknown() -> None:
    with hours(left_j=1, guarded=False) as machine, machine.meter.window() as window:
        machine.pass_s(3 * HOUR_S, {"pkg0": 350, "pkg1": 350, "dram0": 40, "dram1": 38})
    assert set(counted(window.energy).values()) == {None}
    assert (window.total_j, window.package_j, window.dram_j) == (None, None, None)
    assert "passed between two reads" in (window.reason or "")


@pytest.mark.parametrize("early_j", [0.0, 1e-6, 1e-3])
def test_a_wrap_in_the_moment_of_every_guard_read(early_j: float) -> None:
    """Power is such that a turn takes eight guard intervals, and the first wrap is at or just before a read."""
    with hours(limit_w=1000) as machine:
        interval_s = guard_interval_s(machine.meter.domains)
        turn_j = (2**32) * INTEL_NJ / 1e9
        machine.tree.wraps_after("pkg0", turn_j / 8 - early_j)
        machine.meter.poll()
        before = machine.counts()
        with machine.meter.window() as window:
            for _ in range(64):
                machine.pass_s(interval_s, {"pkg0": turn_j / 8 / interval_s, "pkg1": 1, "dram0": 1, "dram1": 1})
        assert counted(window.energy) == differences(machine.counts(), before)
    assert window.by_domain["pkg0"].wraps == 8


POWERS_W = st.fixed_dictionaries(
    {"pkg0": st.integers(1, 350), "pkg1": st.integers(1, 350), "dram0": st.integers(1, 41), "dram1": st.integers(1, 41)}
)
PHASES = st.lists(st.tuples(st.floats(1, 2 * HOUR_S), POWERS_W), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(phases=PHASES, left_j=st.floats(0, 262_000), data=st.data())
def test_any_window_of_many_hours_is_exact_to_the_count_with_the_guard(
    phases: list[tuple[float, dict[str, int]]], left_j: float, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(phases) - 1))
    last = data.draw(st.integers(first, len(phases) - 1))
    with hours(left_j=left_j) as machine:
        for number, (seconds, power_w) in enumerate(phases):
            if number == first:
                token, before = machine.meter.begin(), machine.counts()
            machine.pass_s(seconds, power_w)
            if number == last:
                assert counted(machine.meter.end(token)) == differences(machine.counts(), before)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(phases=PHASES, left_j=st.floats(0, 262_000))
def test_without_the_guard_nothing_is_ever_wrong(phases: list[tuple[float, dict[str, int]]], left_j: float) -> None:
    """Known is exactly what two reads that lie near enough tell; a gap that could hide a wrap is not."""
    with hours(left_j=left_j, guarded=False) as machine:
        gaps_s = {domain.id: domain.max_gap_ns / 1e9 for domain in machine.meter.domains}
        for seconds, power_w in phases:
            before = machine.counts()
            with machine.meter.window() as window:
                machine.pass_s(seconds, power_w)
            truth = differences(machine.counts(), before)
            for domain, found in counted(window.energy).items():
                assert found in (None, truth[domain])
                assert (found is None) == (seconds > gaps_s[domain] - 2e-3) or abs(seconds - gaps_s[domain]) < 0.01


DOMAINS = tuple(
    Domain(id=f"pkg{n}", kind=DomainKind.PACKAGE, package=n, range_uj=262143328850, max_power_w=330, path=f"{n}")
    for n in range(4)
)


@settings(max_examples=300, deadline=None)
@given(
    reads=st.lists(
        st.tuples(st.integers(0, 60 * 10**9), st.lists(st.integers(0, 50_000), min_size=4, max_size=4)),
        min_size=2,
        max_size=12,
    ),
    near=st.lists(st.tuples(st.integers(0, 11), st.integers(-3, 3)), min_size=4, max_size=4),
    power_mw=st.integers(1000, 330_000),
)
def test_wraps_between_the_reads_of_two_zones(
    reads: list[tuple[int, list[int]]], near: list[tuple[int, int]], power_mw: int
) -> None:
    """Each zone is read at a time of its own, and each wraps within three counts of one of these, any read: exact."""
    times: list[list[int]] = []
    now_ns = 10**9
    for pause_ns, lags_ns in reads:
        now_ns += pause_ns
        times.append([now_ns := now_ns + lag_ns for lag_ns in lags_ns])
    starts = [
        domain.turn - times[read % len(times)][zone] * power_mw // 1000 // domain.count_nj + counts
        for zone, (domain, (read, counts)) in enumerate(zip(DOMAINS, near, strict=True))
    ]
    mark, marks = None, []
    for moments in times:
        values = {
            domain.id: (start + at_ns * power_mw // 1000 // domain.count_nj) % domain.turn * domain.count_nj // 1000
            for domain, start, at_ns in zip(DOMAINS, starts, moments, strict=True)
        }
        mark = advance(DOMAINS, mark, Reading(begin_ns=moments[0], end_ns=moments[-1], values_uj=values))
        marks.append(mark)
    _assert_exact(times, marks, power_mw)


def _assert_exact(times: list[list[int]], marks: list[Mark], power_mw: int) -> None:
    for first in range(len(marks)):
        for last in range(first + 1, len(marks)):
            found = energies_between(DOMAINS, marks[first], marks[last])
            for zone, domain in enumerate(DOMAINS):
                truth = [times[each][zone] * power_mw // 1000 // domain.count_nj for each in (first, last)]
                joules = found[domain.id].joules
                if joules is None:
                    assert truth[1] - truth[0] <= 1
                else:
                    assert round(joules * 1e9 / domain.count_nj) == truth[1] - truth[0]
