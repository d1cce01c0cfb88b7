"""Numbers into columns: what is null when, and what adds up."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cpu_time import CpuUse
from jobs.net import net_columns
from jobs.process_scope import by_meter
from jobs.rows import (
    control_columns,
    energy_flags,
    is_valid,
    node_columns,
    phase_columns,
    phase_flags,
    quantile,
    sample_rows,
    window_columns,
    work_columns,
)
from jobs.workload import Findings
from sipa.columns import BY_NAME
from sipa.control import ControlResult
from sipa.energy.dcmi import DcmiReading
from sipa.energy.power_model import Estimate
from sipa.energy.readings import Domain, DomainKind
from sipa.energy.source import MeterKind
from sipa.energy.trace import PowerSample
from sipa.energy.window import CheckedEnergy, DomainEnergy, EnergyWindow, Flag, Quality
from sipa.spec.model import Scope

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
        **node_columns(None),
        **control_columns(None),
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


def counted(
    domain_j: Mapping[str, float | None], *, length_s: float = 10.0, uncertainty_j: float = 0.01
) -> EnergyWindow:
    """A window of powercap's with these energies."""
    return EnergyWindow(
        name="w",
        source=MeterKind.POWERCAP,
        begin_ns=0,
        end_ns=round(length_s * 1e9),
        by_domain={name: energy(name, joules, uncertainty_j) for name, joules in domain_j.items()},
    )


def energy(name: str, joules: float | None, uncertainty_j: float) -> DomainEnergy:
    kind = DomainKind.PACKAGE if name.startswith("pkg") else DomainKind.DRAM
    domain = Domain(
        id=name, kind=kind, package=int(name[-1]), range_uj=262143328850, max_power_w=330.0, path=f"/{name}"
    )
    if joules is None:
        return DomainEnergy(domain=domain, joules=None, quality=Quality.UNAVAILABLE, reason="gone")
    return DomainEnergy(domain=domain, joules=joules, quality=Quality.MEASURED, uncertainty_j=uncertainty_j)


TWO_SOCKETS: dict[str, float | None] = {"pkg0": 1000.0, "pkg1": 900.0, "dram0": 60.0, "dram1": 40.0}
USE = CpuUse(utilisation=0.5, foreign_s=0.5, ray_s=0.2, own_s=9.5)


def test_uncertainties_are_of_what_they_stand_beside() -> None:
    row = window_columns(counted(TWO_SOCKETS), USE)
    assert row["energy_total_j"] == 2000.0
    assert (row["energy_pkg_uncertainty_j"], row["energy_dram_uncertainty_j"]) == (0.02, 0.02)
    assert row["energy_total_uncertainty_j"] == 0.04
    assert (row["own_cpu_s"], row["foreign_ray_cpu_s"], row["foreign_cores"]) == (9.5, 0.2, 0.05)
    without_dram = window_columns(counted({"pkg0": 1000.0}), USE)
    assert without_dram["energy_dram_uncertainty_j"] is without_dram["energy_dram_j"] is None


def test_a_check_by_perf_has_columns_of_its_own() -> None:
    perf = CheckedEnergy(source=MeterKind.PERF, by_domain=counted({**TWO_SOCKETS, "dram1": None}).by_domain)
    row = window_columns(replace(counted(TWO_SOCKETS), checks=(perf,)), USE)
    assert row["energy_pkg_perf_j"] == 1900.0
    assert row["energy_dram_perf_j"] is None
    alone = window_columns(counted(TWO_SOCKETS), USE)
    assert alone["energy_pkg_perf_j"] is alone["energy_dram_perf_j"] is None


def test_a_disagreement_is_told_once_by_its_gate() -> None:
    check = CheckedEnergy(source=MeterKind.PERF, by_domain={}, disagreements=("pkg0 differs",))
    window = replace(counted(TWO_SOCKETS), checks=(check,))
    assert Flag.CROSS_CHECK in window.flags
    assert energy_flags(window) == []
    assert is_valid(window)


def test_a_phase_that_cannot_be_right_is_told_by_name() -> None:
    window = counted(TWO_SOCKETS)
    assert phase_flags("load", window) == []
    wrong = replace(window.by_domain["pkg1"], flags=(Flag.IMPLAUSIBLE,), reason="/pkg1: advanced too far")
    window = replace(window, by_domain={**window.by_domain, "pkg1": wrong})
    assert phase_flags("load", window) == ["energy implausible in load: /pkg1: advanced too far"]
    assert by_meter(window, Scope.PHASES).flags == ("energy implausible in process: /pkg1: advanced too far",)


def test_the_bmc_says_watts_and_inlet_or_nothing() -> None:
    said = DcmiReading(power_w=412, inlet_c=23.0, period_s=1.0, reason=None)
    assert node_columns(said) == {"power_node_dcmi_w": 412.0, "temperature_inlet_c": 23.0}
    assert set(node_columns(None).values()) == {None}


CONTROL = ControlResult(
    control_id="v1",
    node="n",
    session_id="s",
    sequence=0,
    after_block=0,
    environment_id="e",
    started_at="2026-01-01T00:00:00+00:00",
    duration_s=61.0,
    energy_total_j=18000.0,
    energy_pkg_j=17000.0,
    temperature_end_c=60.0,
)


def test_the_last_control_stands_in_the_row_and_one_without_a_result_does_not() -> None:
    expected = {"control_id": "v1", "control_energy_j": 18000.0, "control_duration_s": 61.0}
    assert control_columns(CONTROL) == expected
    assert set(control_columns(None).values()) == {None}
    assert set(control_columns(replace(CONTROL, duration_s=0.0, reason="killed")).values()) == {None}


def test_a_trace_in_its_long_form() -> None:
    assert sample_rows([PowerSample(t_s=1.0, domain="pkg0", power_w=99.5)]) == [
        {"t_s": 1.0, "domain": "pkg0", "power_w": 99.5}
    ]
