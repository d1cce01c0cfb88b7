"""What is left of a sweep will take, or why that is not known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.plan import Forecast, assign, durations, forecast
from sipa.spec.model import Prices
from tests.sipa.plan.sweeps import MEASUREMENT, NO_PRICES, grid

PRICES = Prices(currency="EUR", electricity_per_kwh=0.36, node_hour=2.0, su_per_node_hour=1.5)


def row(treatment: str, seconds: float, **more: float) -> dict[str, object]:
    return {"treatment_id": treatment, "duration_process_s": seconds, "duration_idle_s": 0.0, **more}


def made(
    rows: list[dict[str, object]],
    *,
    treatments: int = 2,
    repetitions: int = 4,
    nodes: int = 2,
    prices: Prices = NO_PRICES,
) -> Forecast:
    trials = grid(treatments, repetitions)
    each = durations([f"t{index}" for index in range(treatments)], MEASUREMENT, rows)
    queues = assign(trials, [f"node-{n}" for n in range(nodes)], seconds=each.seconds())
    return forecast(queues, each, prices, rows)


def test_times_add_up_by_node() -> None:
    found = made([row("t0", 100.0), row("t1", 300.0)], repetitions=3)
    assert found.trials == 6
    assert found.busy_s == 1200.0
    assert sorted(found.node_s.values()) == [500.0, 700.0]
    assert found.wall_s == 700.0


def test_nothing_seen_means_no_interval_and_a_named_assumption() -> None:
    found = made([])
    assert found.wall_interval_s is None
    assert found.wall_s == 4 * 85.0
    assert "assumed" in found.assumptions[0]


def test_nothing_left_takes_no_time() -> None:
    found = made([], treatments=0)
    assert (found.trials, found.wall_s, found.busy_s) == (0, 0.0, 0.0)
    assert found.wall_interval_s is None


def test_one_treatment_seen_says_nothing_about_the_spread_of_the_others() -> None:
    rows = [row("t0", 100.0), row("t0", 101.0)]
    assert made(rows).wall_interval_s is None
    assert made(rows, treatments=1).wall_interval_s is not None


def test_interval_narrows_with_rows() -> None:
    few = [row(name, seconds) for name in ("t0", "t1") for seconds in (99.0, 101.0)]
    low, high = made(few).wall_interval_s or (0.0, 0.0)
    closer_low, closer_high = made(few * 20).wall_interval_s or (0.0, 0.0)
    assert low < closer_low < 400.0 < closer_high < high


@given(st.lists(st.floats(1.0, 1e3), min_size=2, max_size=6), st.integers(1, 3))
def test_interval_holds_the_forecast(seen: list[float], nodes: int) -> None:
    found = made([row(f"t{index % 2}", seconds) for index, seconds in enumerate(seen)], nodes=nodes)
    assert found.wall_interval_s is not None
    low, high = found.wall_interval_s
    assert 0 <= low <= found.wall_s * (1 + 1e-9)
    assert high >= found.wall_s * (1 - 1e-9)


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """400 simulated sweeps on one node, a quarter done; 95 % asked for, normal approximation with few rows."""
    generator = np.random.default_rng(7)
    truth = np.array([20.0, 60.0, 200.0, 90.0])
    held = 0
    for _ in range(400):
        times = truth[:, None] * generator.normal(1.0, 0.05, (4, 16))
        rows = [row(f"t{index}", float(value)) for index in range(4) for value in times[index, :4]]
        low, high = made(rows, treatments=4, repetitions=12, nodes=1).wall_interval_s or (0.0, 0.0)
        held += low <= times[:, 4:].sum() <= high
    assert 0.88 <= held / 400 <= 0.99


def test_energy_is_measured_or_not_known() -> None:
    estimated = made([row("t0", 100.0, energy_estimated_j=50.0)])
    assert estimated.energy_j.value is None
    assert "estimates are not used" in estimated.energy_j.reason
    rows = [row("t0", 100.0, energy_pkg_process_j=1000.0, energy_total_j=1.0), row("t1", 100.0)]
    measured = made(rows)
    assert measured.energy_j.value == 8000.0
    assert "processes" in measured.energy_j.reason


def test_cost_counts_the_hours_of_all_nodes_and_the_energy() -> None:
    rows = [row("t0", 900.0, energy_pkg_process_j=1.25e6), row("t1", 900.0, energy_pkg_process_j=1.25e6)]
    found = made(rows, prices=PRICES)
    assert found.wall_s == 3600.0
    assert found.cost.value == pytest.approx(2 * 2.0 + 8 * 1.25 / 3.6 * 0.36)
    assert found.currency == "EUR"
    assert found.service_units.value == pytest.approx(3.0)


def test_cost_that_cannot_be_known_is_none_with_the_reason() -> None:
    rows = [row("t0", 900.0)]
    assert made(rows).cost.value is None
    assert "[prices]" in made(rows).cost.reason
    assert made(rows).service_units.value is None
    assert made(rows, prices=PRICES).cost.value is None
    assert "no earlier row" in made(rows, prices=PRICES).cost.reason
    only_hours = replace(PRICES, electricity_per_kwh=None)
    assert made(rows, prices=only_hours).cost.value == pytest.approx(4.0)
