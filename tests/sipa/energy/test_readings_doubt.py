"""When a counter must not be believed: suspends, counts that go backwards, sources that were opened anew."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sipa.energy.perf_event import TRUSTED_UJ
from sipa.energy.readings import Domain, Mark, Reading, advance, suspended_s
from sipa.energy.window import STALLED_NS, Flag, Quality
from tests.sipa.energy.simulated_counter import (
    EPYC_RANGE_UJ,
    PACKAGE_RANGE_UJ,
    Simulated,
    SimulatedPerf,
    domain,
    energy,
    perf_domain,
)

SECOND = 10**9
GAPS_NS = st.one_of(st.integers(0, 10_000_000), st.integers(0, 120 * SECOND), st.integers(0, 2000 * SECOND))


@pytest.mark.parametrize(
    ("watts", "joules"), [(165, 594_000), (199, 716_400), (201, -587_120), (250, -410_720), (350, -50_720)]
)
def test_the_kernel_loses_the_sign_above_200_watts_if_nobody_reads(watts: int, joules: int) -> None:
    """The trap itself, so that what follows is tested against it: one hour without a read."""
    counter = SimulatedPerf()
    counter.run(3600 * SECOND, watts * 1000)
    counter.raw_uj()
    assert counter.count / 2**32 == pytest.approx(joules, abs=20)


@pytest.mark.parametrize("watts", [165, 201, 250, 350])
def test_perf_is_exact_if_read_every_minute_and_unavailable_if_not(watts: int) -> None:
    of = perf_domain(500)
    marks, truths = SimulatedPerf(of).marks([(60 * SECOND, watts * 1000)] * 60)
    found = energy(of, marks[0], marks[-1])
    assert found.joules == pytest.approx(truths[-1] / 1e9, abs=of.step_nj / 1e9)
    assert (found.wraps, found.flags) == (0, ())

    marks, _ = SimulatedPerf(of).marks([(3600 * SECOND, watts * 1000)])
    blind = energy(of, marks[0], marks[-1])
    assert blind.joules is None
    assert "exceed what its source can tell after 65.536 s" in (blind.reason or "")


def test_the_longest_gap_of_perf_is_what_its_trusted_advance_takes() -> None:
    assert TRUSTED_UJ == 32_768_000_000
    assert perf_domain(330).max_gap_ns == 32_768 * SECOND // 330
    assert perf_domain(330).count_nj == 1000
    assert domain(trusted_uj=10**15).max_gap_ns == domain().max_gap_ns


@settings(max_examples=300)
@given(
    esu=st.sampled_from([14, 16]),
    start=st.integers(0, 2**32 - 1),
    schedule=st.lists(st.tuples(GAPS_NS, st.integers(0, 330_000)), min_size=1, max_size=8),
)
@example(esu=16, start=2**32 - 1, schedule=[(99 * SECOND, 330_000)] * 3)
def test_perf_is_exact_to_a_step_or_says_that_it_is_not_known(
    esu: int, start: int, schedule: list[tuple[int, int]]
) -> None:
    of = perf_domain(330)
    marks, truths = SimulatedPerf(of, start=start, esu=esu).marks(schedule)
    for first, last in combinations(range(len(marks)), 2):
        gaps = [gap for gap, _ in schedule[first:last]]
        found = energy(of, marks[first], marks[last])
        if any(gap + of.update_ns > of.max_gap_ns for gap in gaps):
            assert "between two reads" in (found.reason or "")
        elif found.joules is None:
            assert "stood still" in (found.reason or "")
            assert truths[last] - truths[first] <= 2 * of.step_nj
        else:
            assert abs(found.joules - (truths[last] - truths[first]) / 1e9) <= (of.step_nj + 1000) / 1e9
            assert found.flags in ((), (Flag.SHORT,))


@given(esu=st.sampled_from([14, 16]), gap_ns=st.integers(1, 99 * SECOND), power_mw=st.integers(330_000, 660_000))
def test_perf_beyond_its_declared_maximum_is_right_and_flagged_or_unavailable(
    esu: int, gap_ns: int, power_mw: int
) -> None:
    of = perf_domain(330)
    marks, truths = SimulatedPerf(of, esu=esu).marks([(SECOND, 100_000), (gap_ns, power_mw)])
    found = energy(of, marks[1], marks[2])
    if found.joules is not None:
        assert abs(found.joules - (truths[2] - truths[1]) / 1e9) <= (of.step_nj + 1000) / 1e9


def test_a_count_that_went_backwards_is_no_reading_of_gigajoules() -> None:
    of = perf_domain()
    begin = advance([of], None, Reading(begin_ns=0, end_ns=0, values_uj={"pkg0": 5_000_000}))
    end = advance([of], begin, Reading(begin_ns=SECOND, end_ns=SECOND, values_uj={"pkg0": 1_000_000}))
    found = energy(of, begin, end)
    assert found.quality is Quality.UNAVAILABLE
    assert "energy_uj: went backwards by 4 J" in (found.reason or "")
    assert "measure again" in (found.reason or "")
    later = advance([of], end, Reading(begin_ns=2 * SECOND, end_ns=2 * SECOND, values_uj={"pkg0": 2_000_000}))
    assert energy(of, end, later).joules == 1


def test_an_advance_beyond_what_is_told_truly_is_not_believed() -> None:
    of = perf_domain()
    begin = advance([of], None, Reading(begin_ns=0, end_ns=0, values_uj={"pkg0": 0}))
    end = advance([of], begin, Reading(begin_ns=SECOND, end_ns=SECOND, values_uj={"pkg0": TRUSTED_UJ + 10**6}))
    assert "only 32768 J are reported truly" in (energy(of, begin, end).reason or "")


def test_a_source_that_was_opened_anew_began_a_new_count_even_if_it_is_higher() -> None:
    of = perf_domain()
    begin = advance([of], None, Reading(begin_ns=0, end_ns=0, values_uj={"pkg0": 10}))
    end = advance([of], begin, Reading(begin_ns=SECOND, end_ns=SECOND, values_uj={"pkg0": 20}, opening=1))
    assert "opened anew" in (energy(of, begin, end).reason or "")
    later = advance(
        [of], end, Reading(begin_ns=2 * SECOND, end_ns=2 * SECOND, values_uj={"pkg0": 10**6 + 20}, opening=1)
    )
    assert energy(of, end, later).joules == 1


def reading(now_ns: int, raw_uj: int | None, asleep_ns: int | None) -> Reading:
    values = {} if raw_uj is None else {"pkg0": raw_uj}
    return Reading(begin_ns=now_ns, end_ns=now_ns, values_uj=values, asleep_ns=asleep_ns)


def follow_all(*readings: Reading) -> list[Mark]:
    mark, marks = None, []
    for each in readings:
        mark = advance([domain()], mark, each)
        marks.append(mark)
    return marks


def test_a_suspend_makes_every_window_that_holds_it_unavailable_and_no_other() -> None:
    marks = follow_all(*(reading(n * SECOND, n * 10**8, 0 if n < 2 else 3 * SECOND) for n in range(4)))
    found = {(a, b): energy(domain(), marks[a], marks[b]) for a, b in combinations(range(4), 2)}
    assert {at for at, each in found.items() if each.joules is None} == {(0, 2), (0, 3), (1, 2), (1, 3)}
    assert "energy_uj: the host was suspended for 3 s" in (found[1, 2].reason or "")
    assert "measure again" in (found[1, 2].reason or "")
    assert suspended_s(marks[0], marks[3]) == 3


@pytest.mark.parametrize("lost", [(1,), (1, 2), (2,)])
def test_a_suspend_beside_a_failed_read_is_not_forgotten(lost: tuple[int, ...]) -> None:
    marks = follow_all(
        *(reading(n * SECOND, None if n in lost else n * 10**8, 0 if n < 2 else 3 * SECOND) for n in range(4))
    )
    assert "suspended for 3 s" in (energy(domain(), marks[0], marks[3]).reason or "")


@pytest.mark.parametrize("blur_ns", [0, 10_000_000, -5_000_000])
def test_the_blur_of_two_clocks_is_no_suspend(blur_ns: int) -> None:
    marks = follow_all(reading(0, 0, SECOND), reading(SECOND, 10**8, SECOND + blur_ns))
    assert energy(domain(), marks[0], marks[1]).joules == pytest.approx(100, abs=1e-4)
    assert suspended_s(marks[0], marks[1]) == 0


def test_where_no_boot_clock_is_given_nothing_is_known_of_suspends() -> None:
    marks = follow_all(reading(0, 0, None), reading(SECOND, 10**8, None))
    assert energy(domain(), marks[0], marks[1]).joules is not None
    assert suspended_s(marks[0], marks[1]) == 0


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), GAPS_NS, st.integers(0, 330_000)),
        st.tuples(st.just("fail"), GAPS_NS, st.integers(0, 330_000)),
        st.tuples(st.just("suspend"), st.integers(20_000_000, 3600 * SECOND), st.booleans()),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=400)
@given(
    of=st.sampled_from([domain(), domain(EPYC_RANGE_UJ), domain(5_000_000), domain(PACKAGE_RANGE_UJ, 1000)]),
    start=st.integers(0, 2**32 - 1),
    events=EVENTS,
)
def test_whatever_happens_a_number_is_exact_to_a_count_or_there_is_none(
    of: Domain, start: int, events: list[tuple[str, int, int]]
) -> None:
    """Reads that fail, gaps that are too long, suspends with and without a reset, at any power below the maximum."""
    counter = Simulated(of, start=start % of.turn)
    mark = advance([of], None, counter.read())
    marks, truths, asleep = [mark], [0], [0]
    for what, length_ns, more in events:
        if what == "suspend":
            counter.suspend(length_ns, reset=bool(more))
        else:
            counter.run(length_ns, more)
        mark = advance([of], mark, counter.read(fail=what == "fail"))
        marks.append(mark)
        truths.append(counter.truth_nj)
        asleep.append(counter.asleep_ns or 0)
    for first, last in combinations(range(len(marks)), 2):
        found = energy(of, marks[first], marks[last])
        assert (found.joules is None) == (found.reason is not None) == (found.quality is Quality.UNAVAILABLE)
        if found.joules is not None:
            assert asleep[first] == asleep[last]
            assert abs(round(found.joules * 1e9) - (truths[last] - truths[first])) <= of.count_nj
            assert Flag.IMPLAUSIBLE not in found.flags
        elif "it does not count" in (found.reason or ""):
            assert marks[last].begin_ns - marks[first].end_ns >= STALLED_NS


@given(
    schedule=st.lists(st.tuples(st.integers(0, 60 * SECOND), st.integers(1, 330_000)), min_size=3, max_size=10),
    start=st.integers(0, 2**32 - 1),
    perf=st.booleans(),
)
def test_windows_that_nest_and_overlap_add_up_exactly(
    schedule: list[tuple[int, int]], start: int, *, perf: bool
) -> None:
    counter = SimulatedPerf(start=start) if perf else Simulated(domain(), start=start)
    of = counter.domain
    marks, _ = counter.marks(schedule)
    found = {(a, b): energy(of, marks[a], marks[b]) for a, b in combinations(range(len(marks)), 2)}
    for a, b, c, d in combinations(range(len(marks)), 4):
        outer, inner, left, right = (found[at].joules for at in [(a, d), (b, c), (a, c), (b, d)])
        if None not in (outer, inner, left, right):
            assert (outer or 0) + (inner or 0) == pytest.approx((left or 0) + (right or 0), rel=1e-12, abs=1e-12)
            assert (outer or 0) >= (inner or 0)


def test_a_register_that_advances_in_coarse_steps_is_not_implausible() -> None:
    """Psys of Sapphire Rapids advances by 1 J at once, which in a millisecond is no power that anything draws."""
    of = replace(perf_domain(), step_nj=SECOND)
    begin = advance([of], None, Reading(begin_ns=0, end_ns=0, values_uj={"pkg0": 0}))
    end = advance([of], begin, Reading(begin_ns=10**6, end_ns=10**6, values_uj={"pkg0": 10**6}))
    found = energy(of, begin, end)
    assert (found.joules, found.flags) == (1, (Flag.SHORT,))
    assert (found.uncertainty_j or 0) > 2
