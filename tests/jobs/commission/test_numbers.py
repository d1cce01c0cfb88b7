"""Arithmetic of the steps: traces, distributions, updates, wraps, forecasts, for any values."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.commission import trace
from jobs.commission.bench import Busy, others_cores, utilisation
from jobs.commission.distribution import PER_DECADE, distribution, place_of
from jobs.commission.lengths import FULL, QUICK, ToWrap, forecast
from jobs.commission.steps import Step, expected_s, left_s
from jobs.commission.trace import Points
from jobs.commission.update import updates
from jobs.commission.verdict import Verdict
from jobs.commission.wraps import Bracket, crossings, judge_wraps
from sipa.energy.readings import Domain, DomainKind
from sipa.energy.trace import PowerSample
from tests.jobs.commission.values import window

RANGE_UJ = 262_143_328_850


def integral(points: Points) -> float:
    begins = [0.0, *(end for end, _ in points)]
    return math.fsum(power_w * (end - begin) for begin, (end, power_w) in zip(begins, points, strict=False))


@st.composite
def any_points(draw: st.DrawFn) -> Points:
    gaps = draw(st.lists(st.floats(0.01, 5), min_size=1, max_size=60))
    watts = draw(st.lists(st.floats(0, 400), min_size=len(gaps), max_size=len(gaps)))
    ends = [math.fsum(gaps[: place + 1]) for place in range(len(gaps))]
    return tuple(zip(ends, watts, strict=True))


@given(any_points(), st.floats(0.1, 20))
def test_thinning_keeps_the_energy_and_the_end(points: Points, step_s: float) -> None:
    thin = trace.thinned(points, step_s)
    assert integral(thin) == pytest.approx(integral(points), rel=1e-9, abs=1e-9)
    assert thin[-1][0] == points[-1][0]
    ends = [0.0, *(end for end, _ in thin)]
    assert all(end - begin >= 0.98 * step_s for begin, end in pairwise(ends[:-1]))


def test_what_was_read_at_the_pace_stays_as_it_is() -> None:
    points = tuple((each + 1.0, 50.0 + each) for each in range(10))
    assert trace.thinned(points, 1.0) == points


def test_samples_by_domain() -> None:
    samples = [PowerSample(t_s=t, domain=domain, power_w=10.0 * t) for t in (1.0, 2.0) for domain in ("pkg0", "dram0")]
    assert trace.by_domain(samples) == {"pkg0": ((1.0, 10.0), (2.0, 20.0)), "dram0": ((1.0, 10.0), (2.0, 20.0))}


def test_drift_spread_and_blocks_of_a_ramp() -> None:
    points = tuple((each + 1.0, 100 + each / 60) for each in range(600))
    assert trace.drift_w_per_h(points) == pytest.approx(60.0)
    assert [power_w for _, power_w in trace.blocks(points, 60.0)] == pytest.approx(
        [100 + (60 * block + 29.5) / 60 for block in range(10)]
    )
    assert len(trace.blocks(points[:100], 60.0)) == 1, "40 s are no block of a minute"
    assert len(trace.blocks(points[:106], 60.0)) == 2
    assert trace.drift_w_per_h(points[:2]) is None
    assert trace.spread_w(points[:1]) is None


def test_a_sum_has_only_the_instants_that_all_have() -> None:
    found = {"pkg0": ((1.0, 10.0), (2.0, 11.0)), "dram0": ((1.0, 1.0),), "psys": ((1.0, 99.0),)}
    assert trace.summed(found, ["pkg0", "dram0"]) == ((1.0, 11.0),)
    assert trace.summed(found, ["pkg9"]) == ()


@given(st.lists(st.integers(1, 10**11), min_size=1, max_size=200))
def test_a_distribution_counts_everything_once(times_ns: list[int]) -> None:
    found = distribution(times_ns)
    assert found is not None
    assert found.n == len(times_ns) == sum(count for _, count in found.bins)
    assert found.min_s <= found.p05_s <= found.median_s <= found.p95_s <= found.p99_s <= found.max_s
    assert {found.min_s, found.median_s, found.max_s} <= {each / 1e9 for each in times_ns}
    places = [place_of(edge_s * 1e9) for edge_s, _ in found.bins]
    assert sorted(set(places)) == places, "an edge belongs to its own bin"
    assert sorted(set(map(place_of, times_ns))) == places


def test_bins_grow_with_the_value() -> None:
    assert place_of(1000.0) == 3 * PER_DECADE
    assert distribution([]) is None


DOMAIN = Domain(id="pkg0", kind=DomainKind.PACKAGE, package=0, range_uj=RANGE_UJ, max_power_w=330.0, path="/none")


@given(
    start=st.integers(0, 2**32 - 1),
    step=st.integers(1, 10**6),
    period_ns=st.integers(10_000, 10**8),
    changes=st.integers(2, 50),
)
def test_period_and_step_are_found_also_over_a_wrap(start: int, step: int, period_ns: int, changes: int) -> None:
    seen = [(at * period_ns, (start + at * step) % 2**32 * DOMAIN.count_nj // 1000) for at in range(changes)]
    found = updates(DOMAIN, 10 * changes, seen)
    assert found.period is not None
    assert (found.period.median_s, found.step_counts) == (period_ns / 1e9, step)
    assert found.reads_a_change == 10


def test_a_counter_that_stands_still_has_no_period() -> None:
    found = updates(DOMAIN, 1000, [])
    assert found.period is None
    assert found.reason


def flat(power_w: float, seconds: int = 120, *, odd_at: int | None = None, odd_w: float = 0.0) -> Points:
    return tuple((at + 1.0, odd_w if at == odd_at else power_w) for at in range(seconds))


def verdict(points: Points, bracket: Bracket) -> Verdict:
    found = crossings({"pkg0": bracket}, {"pkg0": points})
    return judge_wraps(found, window({"pkg0": 165.0}), wraps=True).verdict


@given(st.floats(10, 400), st.floats(-0.049, 0.049), st.integers(10, 100))
def test_power_that_goes_on_over_the_wrap_is_well(power_w: float, share: float, at: int) -> None:
    points = flat(power_w, odd_at=at, odd_w=power_w * (1 + share))
    assert verdict(points, Bracket(after_s=at + 0.3, before_s=at + 0.9)) is Verdict.OK


@given(st.floats(10, 400), st.integers(10, 100), st.sampled_from([-1, 1]), st.floats(0.0, 0.9))
def test_a_wrap_missed_or_counted_twice_fails(power_w: float, at: int, sign: int, into_s: float) -> None:
    points = flat(power_w, odd_at=at, odd_w=power_w + sign * RANGE_UJ / 1e6)
    assert verdict(points, Bracket(after_s=at - 1 + into_s, before_s=at + into_s + 0.05)) is Verdict.FAIL


def test_wraps_that_were_not_crossed_or_not_seen_are_unknown() -> None:
    quiet = window({"pkg0": 165.0, "pkg1": 160.0})
    one = crossings({"pkg0": Bracket(after_s=50, before_s=51)}, {"pkg0": flat(165.0)})
    assert judge_wraps(one, quiet, wraps=True).found.startswith("not crossed: 1 of 2")
    assert judge_wraps((), quiet, wraps=False).verdict is Verdict.UNKNOWN
    assert verdict(flat(165.0), Bracket(after_s=119, before_s=120)) is Verdict.UNKNOWN, "nothing after it"
    assert verdict((), Bracket(after_s=1, before_s=2)) is Verdict.UNKNOWN, "no trace"


def test_a_wrap_is_judged_by_how_noisy_its_neighbours_are() -> None:
    noisy = tuple((end, 150 + 20 * (at % 2)) for at, (end, _) in enumerate(flat(1.0)))
    found = crossings({"pkg0": Bracket(after_s=60.2, before_s=60.8)}, {"pkg0": noisy})
    assert found[0].tolerance > 0.2
    assert judge_wraps(found, window({"pkg0": 160.0}), wraps=True).verdict is Verdict.OK


def test_energy_that_is_unavailable_over_the_wrap_fails_with_the_reason() -> None:
    lost = window({"pkg0": None}, reasons={"pkg0": "5000 s passed between two reads"})
    found = judge_wraps((), lost, wraps=True)
    assert (found.verdict, found.found) == (Verdict.FAIL, "5000 s passed between two reads")


def test_the_forecast_is_the_slowest_wrap() -> None:
    packages = [ToWrap(domain=f"pkg{at}", energy_j=energy, power_w=165.0) for at, energy in ((0, 165e3), (1, 100e3))]
    found = forecast(FULL, packages, counters=4)
    assert (found.stress_s, found.at_most) == (1000 + FULL.after_wrap_s, False)
    assert 2000 < found.total_s < 2400


@pytest.mark.parametrize(
    "packages",
    [
        [],
        [ToWrap(domain="pkg0", energy_j=None, power_w=165.0)],
        [ToWrap(domain="pkg0", energy_j=65e3, power_w=None)],
        [ToWrap(domain="pkg0", energy_j=262e3, power_w=15.0)],
    ],
)
def test_where_nothing_better_is_known_the_forecast_is_the_limit(packages: list[ToWrap]) -> None:
    found = forecast(FULL, packages, counters=1)
    assert (found.stress_s, found.at_most) == (FULL.stress_limit_s, True)


@given(st.sampled_from(list(Step)), st.floats(0, 1), st.floats(0, 5000))
def test_what_is_left_is_never_negative_and_ends_at_nothing(step: Step, fraction: float, spent_s: float) -> None:
    expected = expected_s(QUICK, forecast(QUICK, [], counters=4), 4)
    later = sum(expected[each] for each in list(Step)[list(Step).index(step) + 1 :])
    assert left_s(expected, step, fraction, spent_s) >= later
    assert left_s(expected, step, 1.0, spent_s) == pytest.approx(later)


def test_cpu_time_of_others_is_all_but_our_own() -> None:
    begin, end = Busy(all_s=100, total_s=1000, own_s=5), Busy(all_s=103, total_s=1040, own_s=6)
    assert others_cores(begin, end, 10) == pytest.approx(0.2)
    assert utilisation(begin, end) == pytest.approx(3 / 40)
    assert others_cores(begin, begin, 10) is None
    assert utilisation(begin, begin) is None
    unread = Busy(all_s=None, total_s=None, own_s=5)
    assert others_cores(unread, end, 10) is utilisation(unread, end) is None
