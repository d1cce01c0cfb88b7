"""Net energy: what it is, how sure, and what of it others may have caused; null where a part is not known."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.net import Baseline, baseline, net_columns
from sipa.energy.power_model import Estimate
from sipa.energy.source import MeterKind
from sipa.energy.window import EnergyWindow, Flag
from tests.jobs.test_rows import counted

WATTS = st.floats(1, 500)
LENGTHS = st.floats(0.5, 3600)
ROW = {
    "energy_total_j": 2000.0,
    "energy_total_uncertainty_j": 0.5,
    "window_s": 10.0,
    "foreign_cpu_s": 1.0,
    "own_cpu_s": 39.0,
}


def idle(power_w: float | None, length_s: float = 60.0, uncertainty_j: float = 0.6) -> EnergyWindow:
    """A window in which one package drew so much."""
    joules = None if power_w is None else power_w * length_s
    return counted({"pkg0": joules}, length_s=length_s, uncertainty_j=uncertainty_j)


def test_net_is_gross_less_idle_and_the_bound_names_its_parts() -> None:
    row = net_columns(ROW, [idle(100.0), idle(104.0)])
    assert row["power_idle_total_w"] == pytest.approx(102.0)
    assert row["power_idle_drift_w"] == pytest.approx(4.0)
    assert row["energy_net_j"] == pytest.approx(2000 - 1020)
    assert row["energy_net_uncertainty_j"] == pytest.approx(0.5 + (1.2 / 120 + 4.0 / 2) * 10)
    assert row["foreign_energy_bias_j"] == pytest.approx(980 / 40)


@given(WATTS, WATTS, LENGTHS, st.floats(0.1, 1e4))
def test_the_true_net_lies_within_the_bound_if_idle_power_moves_one_way(
    before_w: float, after_w: float, length_s: float, share: float
) -> None:
    """Whatever the idle power was during the trial, between before and after."""
    row = net_columns({**ROW, "window_s": length_s}, [idle(before_w), idle(after_w)])
    between_w = before_w + (after_w - before_w) * (share % 1)
    truth_j = 2000.0 - between_w * length_s
    assert row["energy_net_uncertainty_j"] is not None
    assert abs(row["energy_net_j"] - truth_j) <= row["energy_net_uncertainty_j"] * (1 + 1e-9) + 1e-6


def test_with_one_idle_window_there_is_a_net_but_no_drift_and_no_bound() -> None:
    row = net_columns(ROW, [idle(100.0)])
    assert row["energy_net_j"] == pytest.approx(1000.0)
    assert row["power_idle_drift_w"] is row["energy_net_uncertainty_j"] is None


@pytest.mark.parametrize("windows", [[], [idle(None)], [idle(100.0), idle(None)]])
def test_net_is_null_unless_every_idle_window_is_known(windows: list[EnergyWindow]) -> None:
    assert set(net_columns(ROW, windows).values()) == {None}


def test_an_idle_window_that_cannot_be_right_gives_no_net() -> None:
    """A counter that was reset: 262 kJ in a minute of doing nothing."""
    wrong = idle(4369.0)
    known = {name: replace(each, flags=(Flag.IMPLAUSIBLE,)) for name, each in wrong.by_domain.items()}
    row = net_columns(ROW, [idle(100.0), replace(wrong, by_domain=known)])
    assert row["energy_net_j"] is row["power_idle_total_w"] is row["power_idle_drift_w"] is None


def test_an_estimate_is_no_baseline() -> None:
    estimate = Estimate(energy_j=50.0, power_w=25.0, utilisation=0.5, idle_w=10, max_w=40)
    window = EnergyWindow(name="idle", source=MeterKind.MODEL, begin_ns=0, end_ns=10**9, estimate=estimate)
    assert baseline([window, window]) == Baseline()


@pytest.mark.parametrize("missing", ["energy_total_j", "window_s"])
def test_without_a_gross_there_is_no_net_though_the_idle_power_is_known(missing: str) -> None:
    row = net_columns({name: value for name, value in ROW.items() if name != missing}, [idle(100.0), idle(100.0)])
    assert row["energy_net_j"] is row["energy_net_uncertainty_j"] is row["foreign_energy_bias_j"] is None
    assert row["power_idle_total_w"] == pytest.approx(100.0)


@pytest.mark.parametrize(
    "changes", [{"foreign_cpu_s": None}, {"own_cpu_s": None}, {"foreign_cpu_s": 0.0, "own_cpu_s": 0.0}]
)
def test_what_others_caused_is_null_where_cpu_times_are_not_known(changes: dict[str, float | None]) -> None:
    row = net_columns({**ROW, **changes}, [idle(100.0), idle(100.0)])
    assert row["foreign_energy_bias_j"] is None
    assert row["energy_net_j"] is not None


@given(st.floats(0, 1e4), st.floats(0.01, 1e4))
def test_what_others_caused_is_a_part_of_net(foreign_s: float, own_s: float) -> None:
    row = net_columns({**ROW, "foreign_cpu_s": foreign_s, "own_cpu_s": own_s}, [idle(100.0), idle(100.0)])
    assert 0 <= row["foreign_energy_bias_j"] <= row["energy_net_j"]
