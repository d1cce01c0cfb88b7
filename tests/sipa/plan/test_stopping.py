"""When a treatment has been repeated often enough, and what is left to run."""

import math
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sipa.plan import Plan, remaining, stopped, stopped_after
from sipa.plan.stopping import critical_value, looks
from sipa.spec.model import StopRule
from tests.sipa.plan.sweeps import plan, sweep

RULE = StopRule(metric="energy_per_image_j", half_width=0.02, min_repetitions=4, confidence=0.95)
VALUES = st.lists(st.none() | st.floats(90, 110), max_size=15)


def test_looks_are_those_from_the_first_to_the_last_repetition() -> None:
    assert looks(RULE, 10) == 7
    assert looks(RULE, 3) == 0
    assert looks(StopRule(metric="x", half_width=0.1, min_repetitions=1), 10) == 9


def test_each_look_has_its_share_of_the_error() -> None:
    assert critical_value(0.95, 1, 5) == pytest.approx(stats.t.ppf(0.975, 4))
    assert critical_value(0.95, 7, 5) == pytest.approx(stats.t.ppf(1 - 0.05 / 14, 4))


def test_stops_at_the_first_narrow_interval() -> None:
    values = [100.0, 102.0, 98.0, 100.0, 101.0, 100.0, 99.0, 100.0, 101.0, 100.0]
    at = stopped_after(values, RULE, 10)
    assert at is not None
    half_widths = [stats.t.ppf(1 - 0.05 / 14, n - 1) * stdev(values[:n]) / math.sqrt(n) / 100 for n in range(4, 11)]
    assert at == next(n for n, width in zip(range(4, 11), half_widths, strict=True) if width <= 0.02)
    assert at > 4


def test_a_constant_metric_stops_at_the_first_look() -> None:
    assert stopped_after([0.7] * 10, RULE, 10) == 4
    assert stopped_after([0.0] * 10, RULE, 10) == 4
    assert stopped_after([0.7] * 3, RULE, 10) is None


def test_a_mean_of_nought_is_never_known_relatively() -> None:
    assert stopped_after([1.0, -1.0] * 10, RULE, 20) is None


def test_no_look_before_two_values() -> None:
    eager = StopRule(metric="x", half_width=0.5, min_repetitions=1)
    assert stopped_after([5.0], eager, 9) is None
    assert stopped_after([5.0, 5.0], eager, 9) == 2


def test_after_a_repetition_without_a_value_nothing_is_decided() -> None:
    assert stopped_after([1.0, 1.0, 1.0, None], RULE, 10) is None
    assert stopped_after([1.0, 1.0, 1.0, None, 1.0], RULE, 10) == 5
    assert stopped_after([None] * 10, RULE, 10) is None


@given(VALUES, VALUES)
def test_later_repetitions_change_nothing(values: list[float | None], later: list[float | None]) -> None:
    """So a replay that sees more rows decides as the sweep did."""
    before, after = stopped_after(values, RULE, 15), stopped_after(values + later, RULE, 15)
    if before is not None:
        assert after == before
    elif after is not None:
        assert after > len(values)


@given(VALUES, st.integers(1, 15))
def test_never_before_the_minimum_nor_after_the_maximum(values: list[float | None], maximum: int) -> None:
    at = stopped_after(values, RULE, maximum)
    assert at is None or 4 <= at <= maximum


@given(st.lists(st.floats(90, 110), min_size=4, max_size=15), st.floats(1e-6, 1e6))
def test_the_unit_of_the_metric_does_not_matter(values: list[float], unit: float) -> None:
    width = [abs(stopped_width(values[:n]) - RULE.half_width) for n in range(4, len(values) + 1)]
    if min(width) > 1e-9:
        scaled = [value * unit for value in values]
        assert stopped_after(scaled, RULE, 15) == stopped_after(values, RULE, 15)


def stopped_width(values: list[float]) -> float:
    n = len(values)
    return critical_value(0.95, 12, n) * stdev(values) / math.sqrt(n) / fmean(values)


def rows_of(made: Plan, upto: int, value: float | None = 5.0, **more: Any) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial.trial_id, "energy_per_image_j": value, **more}
        for trial in made.trials
        if trial.repetition <= upto
    ]


TEN = sweep(repetitions=10)


def test_remaining_is_planned_less_committed_less_stopped() -> None:
    made = plan(TEN)
    assert remaining(made, [], RULE) == made.trials
    assert remaining(made, rows_of(made, 3), RULE) == made.trials[18:]
    assert remaining(made, rows_of(made, 4), RULE) == ()
    assert remaining(made, rows_of(made, 4), None) == made.trials[24:]
    assert stopped(made, rows_of(made, 4), RULE) == {each.treatment_id: 4 for each in made.treatments}


def test_each_treatment_stops_by_itself() -> None:
    made = plan(TEN)
    noisy = made.treatments[0].treatment_id
    rows = rows_of(made, 4)
    for index, row in enumerate(rows):
        if made.trial(row["trial_id"]).treatment.treatment_id == noisy:
            row["energy_per_image_j"] = float(1 + index)
    left = remaining(made, rows, RULE)
    assert {trial.treatment.treatment_id for trial in left} == {noisy}
    assert [trial.repetition for trial in left] == [5, 6, 7, 8, 9, 10]


def test_a_gap_is_filled_before_anything_is_decided() -> None:
    made = plan(TEN)
    gap = made.trials[0]
    rows = [row for row in rows_of(made, 6) if row["trial_id"] != gap.trial_id]
    left = remaining(made, rows, RULE)
    assert left[0] is gap
    assert {trial.treatment.treatment_id for trial in left} == {gap.treatment.treatment_id}


@pytest.mark.parametrize("row", [{"value": None}, {"value": float("nan")}, {"valid": False}], ids=str)
def test_a_row_without_a_trustworthy_value_stops_nothing(row: dict[str, Any]) -> None:
    made = plan(TEN)
    assert remaining(made, rows_of(made, 10, **row)[:-1], RULE) == made.trials[-1:]
    assert stopped(made, rows_of(made, 10, **row), RULE) == {}


def test_rows_of_another_plan_are_ignored() -> None:
    made, other = plan(TEN), plan(TEN, replicate="again")
    assert remaining(made, rows_of(other, 10), RULE) == made.trials


@given(st.permutations(range(60)))
def test_the_order_in_which_rows_arrive_does_not_matter(order: list[int]) -> None:
    made = plan(TEN)
    rows = rows_of(made, 10)
    some = [rows[index] for index in order[:40]]
    assert remaining(made, some, RULE) == remaining(made, sorted(some, key=lambda row: row["trial_id"]), RULE)
