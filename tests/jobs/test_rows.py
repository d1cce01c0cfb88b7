"""Numbers into columns: what is null when, and what adds up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cpu_time import CpuTimes, CpuUse, between
from jobs.rows import net_columns, phase_columns, quantile, window_columns, work_columns
from jobs.workload import Findings
from sipa.columns import BY_NAME
from sipa.energy.power_model import Estimate
from sipa.energy.source import MeterKind
from sipa.energy.window import EnergyWindow

ESTIMATE = Estimate(energy_j=50.0, power_w=25.0, utilisation=0.5, idle_w=10, max_w=40)
WINDOW = EnergyWindow(name="w", source=MeterKind.MODEL, begin_ns=0, end_ns=2_000_000_000, estimate=ESTIMATE)
FINITE = st.floats(1e-6, 1e3)


def findings(latencies: tuple[float, ...] = (), images: int | None = 10) -> Findings:
    return Findings(work_unit="image", work_units=10.0, images=images, passes=1, batch_latencies_s=latencies)


def test_only_columns_of_the_contract_come_out() -> None:
    row = {
        **window_columns(WINDOW, CpuUse(utilisation=0.5, foreign_s=0.1)),
        **work_columns(findings(), WINDOW),
        **phase_columns("load", [WINDOW]),
        **phase_columns("process", [WINDOW]),
        **net_columns({}, []),
    }
    assert set(row) <= set(BY_NAME)


def test_an_estimate_never_stands_in_a_measured_column() -> None:
    row = {**window_columns(WINDOW, CpuUse(utilisation=None, foreign_s=None)), **work_columns(findings(), WINDOW)}
    assert row["energy_estimated_j"] == 50.0
    assert row["energy_estimated_per_image_j"] == 5.0
    measured = [name for name in row if name.startswith("energy_") and name.endswith("_j") and "estimated" not in name]
    assert all(row[name] is None for name in measured)
    assert row["power_total_w"] is None


@pytest.mark.parametrize(
    ("batches", "p95", "p99"), [(19, False, False), (20, True, False), (99, True, False), (100, True, True)]
)
def test_a_percentile_needs_enough_batches(batches: int, p95: bool, p99: bool) -> None:
    row = work_columns(findings((0.1,) * batches), WINDOW)
    assert (row["latency_batch_p95_s"] is not None) == p95
    assert (row["latency_batch_p99_s"] is not None) == p99
    assert row["batches_measured"] == batches


def test_without_images_there_is_nothing_per_image() -> None:
    row = work_columns(findings(images=None), WINDOW)
    assert row["time_per_image_s"] is row["energy_estimated_per_image_j"] is None
    assert row["time_per_work_unit_s"] == 0.2


@given(st.lists(FINITE, min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    assert quantile(sorted(values), share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9)


def test_net_is_null_unless_every_idle_window_is_known() -> None:
    row = {"energy_total_j": 10.0, "window_s": 1.0}
    assert net_columns(row, [])["energy_net_j"] is None
    assert net_columns(row, [WINDOW])["energy_net_j"] is None


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_foreign_time_is_never_negative(busy: float, rest: float, own: float, start: float) -> None:
    begin = CpuTimes(busy_s=start, total_s=start, own_s=0.0)
    end = CpuTimes(busy_s=start + busy, total_s=start + busy + rest, own_s=own)
    use = between(begin, end)
    assert use.foreign_s is not None
    assert use.foreign_s >= 0
    assert use.utilisation is None or 0 <= use.utilisation <= 1


def test_unreadable_cpu_times_are_null_not_zero() -> None:
    nothing = CpuTimes(busy_s=None, total_s=None, own_s=0.0)
    assert between(nothing, nothing) == CpuUse(utilisation=None, foreign_s=None)
    assert math.isclose(WINDOW.duration_s, 2.0)
