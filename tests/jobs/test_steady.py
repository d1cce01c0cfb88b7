"""When a warm-up ends: what neither rises nor falls, however noisy; and where there is no temperature, times alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.steady import CHANGE_K, LEAST_S, SAMPLE_S, SPAN_S, Sample, WarmUp, temperature_change, times_change

SECONDS = st.floats(1e-4, 100.0)


def ramp(kelvin_per_s: float, length_s: float, *, start_c: float = 50.0) -> list[Sample]:
    """Samples as a sensor gives them: whole degrees."""
    count = round(length_s / SAMPLE_S)
    return [(step * SAMPLE_S, float(int(start_c + kelvin_per_s * step * SAMPLE_S))) for step in range(count + 1)]


@pytest.mark.parametrize(
    ("times", "change"),
    [
        ([0.1] * 5, None),
        ([0.1] * 6, 0.0),
        ([0.2, 0.2, 0.2, 0.1, 0.1, 0.1], 0.5),
        ([9.0, 0.1, 0.1, 0.1, 0.1, 4.0], 0.0),
        ([9.0, 5.0, 3.0, 2.0, 1.5, 1.2], 0.625),
        ([3.0, 1.02, 1.0, 1.0, 1.01, 0.99], 0.0196),
        ([30.0], None),
        ([30.0, 24.0], 0.2),
        ([3.0, 3.0, 3.0, 3.0], 0.0),
        ([], None),
    ],
)
def test_a_few_batches_are_compared_with_the_few_before(times: list[float], change: float | None) -> None:
    assert times_change(times) == (None if change is None else pytest.approx(change, rel=0.01))


@given(st.lists(SECONDS, max_size=30))
def test_a_change_is_a_share(times: list[float]) -> None:
    change = times_change(times)
    assert change is None or 0 <= change < 1


@given(st.lists(SECONDS, min_size=6, max_size=30), st.floats(0.1, 10))
def test_a_change_does_not_depend_on_the_unit_among_short_batches(times: list[float], factor: float) -> None:
    short = [each / 1e3 for each in times]
    assert times_change([each * factor for each in short]) == pytest.approx(times_change(short), abs=1e-9)


@pytest.mark.parametrize("length_s", [0.0, SAMPLE_S, SPAN_S - SAMPLE_S])
def test_a_temperature_is_watched_for_a_while_first(length_s: float) -> None:
    assert temperature_change(ramp(0.0, length_s)) is None
    assert temperature_change([]) is None


@pytest.mark.parametrize(("kelvin_per_s", "is_steady"), [(0.0, True), (0.1, True), (0.5, False), (-0.5, False)])
def test_a_line_through_whole_degrees_tells_a_rise(kelvin_per_s: float, is_steady: bool) -> None:
    change = temperature_change(ramp(kelvin_per_s, 20.0))
    assert change is not None
    assert (change <= CHANGE_K) is is_steady


def test_a_sensor_that_flickers_by_a_degree_is_steady() -> None:
    flicker = [(step * SAMPLE_S, 60.0 + step % 2) for step in range(20)]
    assert (temperature_change(flicker) or 0.0) <= CHANGE_K


@given(st.lists(st.floats(0.01, 20.0), min_size=2, max_size=30), st.floats(20, 90))
def test_a_constant_temperature_is_steady_whenever_it_was_read(pauses: list[float], celsius: float) -> None:
    times = [sum(pauses[:place]) for place in range(len(pauses))]
    change = temperature_change([(at_s, celsius) for at_s in times])
    assert change is None or change == pytest.approx(0.0, abs=1e-6)


def test_without_a_temperature_nothing_is_waited_for_beyond_the_times() -> None:
    warm_up = WarmUp(60.0)
    for _ in range(6):
        warm_up.batch(0.05)
    warm_up.sample(0.1, None)
    assert not warm_up.over(LEAST_S / 2)
    assert warm_up.over(LEAST_S)
    assert warm_up.unsteady() is None


def test_with_a_temperature_it_is_watched_for_its_span() -> None:
    warm_up = WarmUp(60.0)
    for _ in range(6):
        warm_up.batch(0.05)
    at_s = 0.0
    while not warm_up.over(at_s):
        assert at_s <= SPAN_S + SAMPLE_S
        if warm_up.due(at_s):
            warm_up.sample(at_s, 55.0)
        at_s += 0.1
    assert at_s == pytest.approx(SPAN_S, abs=SAMPLE_S + 0.2)
    assert warm_up.unsteady() is None


def test_a_warm_up_that_is_not_steady_ends_all_the_same_and_says_what_changed() -> None:
    warm_up = WarmUp(10.0)
    for step in range(21):
        warm_up.batch(1.0 + step % 3)
        warm_up.sample(step * SAMPLE_S, 40.0 + step)
    assert not warm_up.over(9.9)
    assert warm_up.over(10.0)
    found = warm_up.unsteady() or ""
    assert "the temperature still changed by 10.0 K after 10 s (measurement.warmup_max_s)" in found


def test_the_sensor_is_not_asked_at_every_batch() -> None:
    warm_up = WarmUp(10.0)
    assert warm_up.due(0.0)
    warm_up.sample(0.0, 40.0)
    assert not warm_up.due(SAMPLE_S / 2)
    assert warm_up.due(SAMPLE_S)


def test_batches_that_take_longer_than_the_warm_up_may_are_told() -> None:
    warm_up = WarmUp(20.0)
    warm_up.batch(45.0)
    assert warm_up.over(45.0)
    assert warm_up.unsteady() == "there were too few batches (1) after 20 s (measurement.warmup_max_s)"
