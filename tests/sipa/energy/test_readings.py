"""Counter arithmetic against a simulated counter whose truth is known."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sipa.energy.readings import DomainKind, Reading, advance
from sipa.energy.window import STALLED_NS, Flag, Quality
from tests.sipa.energy.simulated_counter import (
    DRAM_RANGE_UJ,
    EPYC_RANGE_UJ,
    PACKAGE_RANGE_UJ,
    TOP,
    Simulated,
    domain,
    energy,
)

RANGES = st.sampled_from([PACKAGE_RANGE_UJ, DRAM_RANGE_UJ, EPYC_RANGE_UJ, 10_000_000_000, 5_000_000, TOP])
POWERS_MW = st.integers(0, 330_000)
DURATIONS_NS = st.one_of(st.integers(0, 10_000_000), st.integers(0, 60_000_000_000), st.integers(0, 2_000_000_000_000))
SCHEDULES = st.lists(st.tuples(DURATIONS_NS, POWERS_MW), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("range_uj", "count_nj", "turn"),
    [
        (PACKAGE_RANGE_UJ, 61035, 2**32),
        (DRAM_RANGE_UJ, 15300, 2**32),
        (EPYC_RANGE_UJ, 15258, 2**32),
        (4294967295000000, 10**9, 2**32),
        (TOP, 1000, 2**32),
        (10_000_000_000, 1000, 10_000_000_001),
    ],
)
def test_one_count_and_one_turn_come_from_the_declared_range(range_uj: int, count_nj: int, turn: int) -> None:
    assert (domain(range_uj).count_nj, domain(range_uj).turn) == (count_nj, turn)


@given(counts=st.integers(0, TOP), range_uj=st.sampled_from([PACKAGE_RANGE_UJ, DRAM_RANGE_UJ, EPYC_RANGE_UJ]))
@example(counts=TOP, range_uj=PACKAGE_RANGE_UJ)
def test_counts_are_recovered_exactly_from_microjoules(counts: int, range_uj: int) -> None:
    of = domain(range_uj)
    assert of.counts(counts * of.count_nj // 1000) == counts


@settings(max_examples=500)
@given(range_uj=RANGES, start=st.integers(0, 2**32 - 1), schedule=SCHEDULES, data=st.data())
def test_any_schedule_and_power_is_exact_to_a_count_or_says_that_it_is_not_known(
    range_uj: int, start: int, schedule: list[tuple[int, int]], data: st.DataObject
) -> None:
    of = domain(range_uj)
    counter = Simulated(of, start=start % of.turn)
    marks, truths = counter.marks(schedule)
    first = data.draw(st.integers(0, len(schedule) - 1))
    last = data.draw(st.integers(first, len(schedule)))

    found = energy(of, marks[first], marks[last])

    gaps = [duration_ns for duration_ns, _ in schedule[first:last]]
    truth_nj = truths[last] - truths[first]
    if any(gap + of.update_ns > of.max_gap_ns for gap in gaps):
        assert found.quality is Quality.UNAVAILABLE
        assert "between two reads" in (found.reason or "")
    elif found.quality is Quality.UNAVAILABLE:
        assert truth_nj < 2 * of.count_nj
        assert sum(gaps) >= STALLED_NS
    else:
        assert found.joules is not None
        assert abs(round(found.joules * 1e9) - truth_nj) <= of.count_nj
        assert Flag.IMPLAUSIBLE not in found.flags
    assert (found.joules is None) == (found.quality is Quality.UNAVAILABLE) == (found.reason is not None)


@given(
    lags_ns=st.lists(st.integers(0, 1_000_000), min_size=2, max_size=8),
    power_mw=POWERS_MW,
    pause_ns=st.integers(0, 10_000_000_000),
    left_nj=st.integers(0, 10**12),
)
def test_a_counter_that_lags_is_off_by_one_update_and_within_its_uncertainty(
    lags_ns: list[int], power_mw: int, pause_ns: int, left_nj: int
) -> None:
    """What the counter shows may be as old as one update period, by a jitter nobody knows."""
    of = domain()
    start = of.turn - 1 - left_nj // of.count_nj
    mark, marks = None, []
    for number, lag_ns in enumerate(lags_ns):
        now_ns = 10**9 + number * (pause_ns + 1_000_000)
        shown_nj = (now_ns - lag_ns) * power_mw // 1000
        raw_uj = (start + shown_nj // of.count_nj) % of.turn * of.count_nj // 1000
        mark = advance([of], mark, Reading(begin_ns=now_ns, end_ns=now_ns, values_uj={"pkg0": raw_uj}))
        marks.append(mark)
    found = energy(of, marks[0], marks[-1])
    truth_j = (marks[-1].begin_ns - marks[0].begin_ns) * power_mw / 1000 / 1e9
    if found.joules is not None:
        assert found.flags in ((), (Flag.SHORT,))
        assert found.uncertainty_j is not None
        assert abs(found.joules - truth_j) <= found.uncertainty_j * (1 + 1e-3)
    else:
        assert "stood still" in (found.reason or "")


@given(schedule=SCHEDULES, cut=st.integers(0, 12), start=st.integers(0, TOP))
def test_overlapping_windows_add_up(schedule: list[tuple[int, int]], cut: int, start: int) -> None:
    of = domain()
    marks, _ = Simulated(of, start=start).marks(schedule)
    middle = marks[min(cut, len(schedule))]
    parts = [energy(of, marks[0], middle), energy(of, middle, marks[-1])]
    whole = energy(of, marks[0], marks[-1])
    if whole.joules is not None and all(part.joules is not None for part in parts):
        assert whole.joules == pytest.approx(sum(part.joules or 0 for part in parts), abs=1e-9, rel=1e-12)
        assert whole.wraps == sum(part.wraps for part in parts)
    if whole.reason and "two reads" in whole.reason:
        assert any(part.joules is None for part in parts)


def test_three_hours_at_350_watts_are_exact_with_a_guard_and_refused_without() -> None:
    of = domain(max_power_w=500)
    guarded = Simulated(of, start=TOP)
    marks, truths = guarded.marks([(60_000_000_000, 350_000)] * 180)
    found = energy(of, marks[0], marks[-1])
    assert found.joules == pytest.approx(3_780_000, abs=2 * of.count_nj / 1e9)
    assert (found.wraps, truths[-1]) == (15, 3_780_000 * 10**9)

    marks, _ = Simulated(of).marks([(3 * 3600 * 10**9, 350_000)])
    assert energy(of, marks[0], marks[-1]).joules is None


def test_what_was_lost_stays_lost_for_the_windows_that_hold_it_and_only_for_them() -> None:
    of = domain()
    second = 10**9
    marks, _ = Simulated(of).marks([(second, 100_000), (of.max_gap_ns, 100_000), (second, 100_000)] * 2)
    lost = {(1, 2), (4, 5)}
    for first in range(6):
        for last in range(first + 1, 7):
            holds = any(first <= begin and end <= last for begin, end in lost)
            assert (energy(of, marks[first], marks[last]).joules is None) == holds


@pytest.mark.parametrize("counts_before_wrap", [0, 1, 2])
@pytest.mark.parametrize("at", ["begin", "end", "inside"])
def test_a_wrap_at_the_worst_moment(at: str, counts_before_wrap: int) -> None:
    of = domain()
    schedule = [(10**9, 100_000)] * 3
    reached = {"begin": 1, "inside": 2, "end": 3}[at] * 100 * 10**9 // of.count_nj
    counter = Simulated(of, start=of.turn - reached - counts_before_wrap)
    marks, truths = counter.marks(schedule)
    for first, last in [(0, 1), (0, 3), (1, 2), (1, 3), (2, 3)]:
        found = energy(of, marks[first], marks[last])
        assert round((found.joules or 0) * 1e9) == pytest.approx(truths[last] - truths[first], abs=of.count_nj)


def test_a_reset_is_flagged_and_neither_clipped_nor_dropped() -> None:
    of = domain()
    counter = Simulated(of, start=2**30)
    begin = advance([of], None, counter.read())
    counter.run(10**9, 100_000)
    counter.start, counter.truth_nj = 0, 0
    end = advance([of], begin, counter.read())
    found = energy(of, begin, end)
    assert found.flags == (Flag.IMPLAUSIBLE,)
    assert "more than its maximum of 330 W" in (found.reason or "")
    assert found.joules is not None

    counter.run(10**9, 100_000)
    after = advance([of], end, counter.read())
    assert energy(of, end, after).flags == ()


def test_power_at_the_physical_maximum_is_not_implausible() -> None:
    of = domain()
    marks, _ = Simulated(of).marks([(1_000, 330_000), (10**9, 330_000), (0, 0), (60 * 10**9, 330_000)])
    assert Flag.IMPLAUSIBLE not in energy(of, marks[0], marks[-1]).flags


def failed(now_ns: int, reason: str = "energy_uj: input/output error") -> Reading:
    return Reading(begin_ns=now_ns, end_ns=now_ns, values_uj={}, failures={"pkg0": reason})


def test_a_failed_read_at_an_edge_makes_the_window_unavailable() -> None:
    of = domain()
    counter = Simulated(of, now_ns=10**9)
    good = advance([of], None, counter.read())
    bad = advance([of], good, failed(2 * 10**9))
    assert energy(of, good, bad).reason == ("could not be read when the window ended: energy_uj: input/output error")
    counter.run(2 * 10**9, 100_000)
    later = advance([of], bad, counter.read())
    assert "when the window began" in (energy(of, bad, later).reason or "")


def test_a_failed_read_inside_loses_nothing_unless_the_gap_is_too_long() -> None:
    of = domain()
    for pause_ns, quality in [(10**9, Quality.MEASURED), (of.max_gap_ns, Quality.UNAVAILABLE)]:
        counter = Simulated(of)
        begin = advance([of], None, counter.read())
        mark = advance([of], begin, failed(pause_ns // 2))
        counter.run(pause_ns, 100_000)
        found = energy(of, begin, advance([of], mark, counter.read()))
        assert found.quality is quality
        if quality is Quality.MEASURED:
            assert found.joules == pytest.approx(100, abs=of.count_nj / 1e9)
            assert found.flags == (Flag.READ_FAILED,)


def test_a_value_beyond_the_declared_range_is_a_failed_read() -> None:
    of = domain()
    begin = advance([of], None, Simulated(of).read())
    beyond = Reading(begin_ns=1, end_ns=1, values_uj={"pkg0": PACKAGE_RANGE_UJ + 1})
    found = energy(of, begin, advance([of], begin, beyond))
    assert found.joules is None
    assert "outside its own range" in (found.reason or "")


def test_a_counter_that_stands_still_is_not_zero_joules() -> None:
    of = domain()
    marks, _ = Simulated(of, start=5).marks([(STALLED_NS, 0)])
    found = energy(of, marks[0], marks[1])
    assert found.joules is None
    assert "stood still for 1 s" in (found.reason or "")


def test_an_idle_graphics_unit_may_use_nothing() -> None:
    of = replace(domain(), kind=DomainKind.UNCORE)
    marks, _ = Simulated(of).marks([(STALLED_NS, 0)])
    assert energy(of, marks[0], marks[1]).joules == 0
