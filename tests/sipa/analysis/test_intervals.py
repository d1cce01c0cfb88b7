import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from sipa.analysis.intervals import Estimate, mean_interval, repetitions_needed, student_t

values = st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=2, max_size=30)
confidences = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@given(values, confidences)
def test_the_interval_is_scipys(numbers: list[float], confidence: float) -> None:
    found = mean_interval(numbers, confidence)
    assert found.sd is not None
    assert found.mean is not None
    assume(found.sd > 1e-9 * max(map(abs, numbers)))
    scale = found.sd / math.sqrt(len(numbers))
    low, high = stats.t.interval(confidence, len(numbers) - 1, loc=found.mean, scale=scale)
    assert found.low == pytest.approx(low, rel=1e-9, abs=1e-9 * scale)
    assert found.high == pytest.approx(high, rel=1e-9, abs=1e-9 * scale)
    assert found.mean == pytest.approx(math.fsum(numbers) / len(numbers), rel=1e-9, abs=1e-9 * scale)


@given(values, st.randoms(use_true_random=False))
def test_the_order_does_not_matter_in_the_last_bit(numbers: list[float], shuffler: random.Random) -> None:
    shuffled = list(numbers)
    shuffler.shuffle(shuffled)
    assert mean_interval(shuffled) == mean_interval(numbers)


@given(st.floats(-1e300, 1e300), st.integers(2, 9))
def test_equal_repetitions_have_no_spread_and_their_own_mean(number: float, n: int) -> None:
    assert mean_interval([number] * n) == Estimate(n=n, mean=number, sd=0.0, low=number, high=number)


def test_one_repetition_has_a_mean_and_no_interval() -> None:
    found = mean_interval([3.5])
    assert (found.n, found.mean, found.sd, found.low, found.high) == (1, 3.5, None, None, None)
    assert found.half_width is None


def test_nothing_and_what_is_not_finite_give_nothing() -> None:
    assert mean_interval([math.nan, math.inf, -math.inf]) == Estimate(n=0)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_numbers_of_any_size_never_raise_and_never_give_infinities(numbers: list[float]) -> None:
    found = mean_interval(numbers)
    for part in (found.mean, found.sd, found.low, found.high):
        assert part is None or math.isfinite(part)


@given(st.floats(0.001, 0.3), st.sampled_from([0.01, 0.02, 0.05]))
def test_the_repetitions_named_are_the_fewest_that_do(spread: float, goal: float) -> None:
    needed = repetitions_needed(Estimate(n=3, mean=2.0, sd=2.0 * spread), goal)
    if needed is None:
        assert student_t(1000, 0.95) * spread / math.sqrt(1000) > goal
        return
    assert student_t(needed, 0.95) * spread / math.sqrt(needed) <= goal
    assert needed == 2 or student_t(needed - 1, 0.95) * spread / math.sqrt(needed - 1) > goal


@pytest.mark.parametrize("known", [Estimate(n=1, mean=2.0), Estimate(n=3, mean=0.0, sd=1.0), Estimate(n=0)])
def test_no_number_of_repetitions_is_invented(known: Estimate) -> None:
    assert repetitions_needed(known) is None
