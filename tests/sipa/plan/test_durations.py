"""How long a trial takes: from its own rows, from its neighbours', or assumed and said so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.plan import Basis, durations
from sipa.plan.durations import ASSUMED_OVERHEAD_S
from sipa.plan.observed import energy_column, number, trial_seconds
from sipa.spec.model import Meter
from tests.sipa.plan.sweeps import MEASUREMENT

START = datetime(2024, 12, 7, 12, 0, tzinfo=UTC)


def row(treatment: str, process_s: float, idle_s: float = 60.0) -> dict[str, object]:
    return {"treatment_id": treatment, "duration_process_s": process_s, "duration_idle_s": idle_s}


def test_own_rows_give_their_median_which_a_hang_does_not_move() -> None:
    rows = [row("a", seconds) for seconds in (20.0, 22.0, 3500.0)]
    found = durations(["a"], MEASUREMENT, rows).by_treatment["a"]
    assert (found.seconds, found.basis, found.rows) == (82.0, Basis.OWN_ROWS, 3)


def test_a_treatment_without_rows_takes_the_median_of_the_others_and_that_is_said() -> None:
    rows = [row("a", 10.0), row("b", 20.0), row("c", 90.0)]
    made = durations(["a", "b", "c", "d"], MEASUREMENT, rows)
    assert made.by_treatment["d"].seconds == 80.0
    assert made.by_treatment["d"].basis is Basis.OTHER_TREATMENTS
    assert "median" in made.assumptions[0]


def test_without_rows_the_protocol_speaks_and_the_overhead_is_named() -> None:
    made = durations(["a"], MEASUREMENT)
    assert made.seconds() == {"a": 60 + 10 + ASSUMED_OVERHEAD_S}
    assert made.by_treatment["a"].basis is Basis.ASSUMED
    assert (made.noise, made.spread) == (None, None)
    assert "15 s to start" in made.assumptions[0]
    assert "up to 300 s a trial" in made.assumptions[1]
    assert "about 60 s at the start" in made.assumptions[2]


def test_what_the_file_does_not_ask_for_is_not_spoken_of() -> None:
    quiet = replace(MEASUREMENT, cooldown_timeout_s=0, control_s=0)
    assert len(durations(["a"], quiet).assumptions) == 1
    estimates = replace(MEASUREMENT, cooldown_timeout_s=0, meter=(Meter.MODEL,))
    assert len(durations(["a"], estimates).assumptions) == 1


def test_nothing_is_assumed_where_everything_was_seen() -> None:
    assert durations(["a"], MEASUREMENT, [row("a", 5.0)]).assumptions == ()
    assert durations([], MEASUREMENT).assumptions == ()


def test_rows_of_other_treatments_and_rows_without_a_time_do_not_count() -> None:
    made = durations(["a"], MEASUREMENT, [row("z", 5.0), {"treatment_id": "a"}])
    assert made.by_treatment["a"].basis is Basis.ASSUMED


def test_noise_is_within_treatments_and_spread_between_them() -> None:
    rows = [row("a", seconds, 0.0) for seconds in (99.0, 100.0, 101.0)]
    rows += [row("b", seconds, 0.0) for seconds in (198.0, 200.0, 202.0)]
    made = durations(["a", "b"], MEASUREMENT, rows)
    assert made.noise == pytest.approx(0.01)
    assert made.spread == pytest.approx(((1 / 3) ** 2 * 2) ** 0.5)
    assert durations(["a", "b"], MEASUREMENT, rows[:3]).spread is None
    assert durations(["a", "b"], MEASUREMENT, [rows[0], rows[3]]).noise is None


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=9))
def test_a_forecast_lies_within_what_was_seen(seen: list[float]) -> None:
    found = durations(["a", "b"], MEASUREMENT, [row("a", seconds, 0.0) for seconds in seen])
    assert min(seen) <= found.seconds()["a"] <= max(seen)
    assert found.seconds()["b"] == found.seconds()["a"]


def test_time_of_a_trial_is_its_process_and_the_rest_before() -> None:
    end = START + timedelta(seconds=12.5)
    assert trial_seconds({"started_at": START, "ended_at": end}, 60) == 72.5
    assert trial_seconds({"started_at": START.isoformat(), "ended_at": end.isoformat()}, 60) == 72.5
    assert trial_seconds({"started_at": START, "ended_at": end, "duration_idle_s": 3.0}, 60) == 15.5
    assert trial_seconds({"duration_process_s": 11.0, "duration_idle_s": 3.0, "duration_cooldown_s": 40.0}, 60) == 54.0
    assert trial_seconds({"duration_process_s": 11.0, "started_at": START, "ended_at": end}, 60) == 71.0


@pytest.mark.parametrize("times", [{}, {"started_at": START}, {"started_at": START, "ended_at": None}])
def test_a_row_that_does_not_say_how_long_says_nothing(times: dict[str, object]) -> None:
    assert trial_seconds(times, 60) is None


def test_a_clock_that_went_back_says_nothing() -> None:
    assert trial_seconds({"started_at": START, "ended_at": START - timedelta(seconds=1)}, 60) is None


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), True, "3"])
def test_what_is_no_finite_number_is_none(value: object) -> None:
    assert number({"x": value}, "x") is None
    assert number({}, "x") is None
    assert number({"x": 3}, "x") == 3.0


def test_one_energy_column_for_all_rows_and_never_an_estimate() -> None:
    window = {"energy_total_j": 5.0, "energy_estimated_process_j": 9.0}
    assert energy_column([window, {"energy_pkg_process_j": 7.0}]) == "energy_pkg_process_j"
    assert energy_column([window]) == "energy_total_j"
    assert energy_column([{"energy_estimated_j": 5.0, "energy_total_j": float("nan")}]) is None
