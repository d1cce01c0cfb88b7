"""From windows and findings to the columns of a row: pure, and the only place that knows which number goes where."""

import math
from collections.abc import Iterable, Sequence

from jobs.cpu_time import CpuUse
from jobs.workload import Findings
from sipa.columns import PHASES, SOCKETS
from sipa.control import ControlResult
from sipa.energy.dcmi import DcmiReading
from sipa.energy.readings import DomainKind
from sipa.energy.source import MeterKind
from sipa.energy.trace import PowerSample
from sipa.energy.window import SHORT_UPDATES, EnergyWindow, Flag, Quality, sum_j
from sipa.trial import Row

MIN_P95_BATCHES = 20
MIN_P99_BATCHES = 100


def window_columns(window: EnergyWindow, use: CpuUse) -> Row:
    """Energy, length and CPU use of the inference window."""
    row: Row = {
        "mono_begin_ns": window.begin_ns,
        "mono_end_ns": window.end_ns,
        "window_s": window.duration_s,
        "energy_pkg_j": window.package_j,
        "energy_dram_j": window.dram_j,
        "energy_total_j": window.total_j,
        "energy_domains": list(window.summed),
        "energy_quality": _qualities(window),
        "energy_pkg_uncertainty_j": window.package_uncertainty_j,
        "energy_dram_uncertainty_j": window.dram_uncertainty_j,
        "energy_total_uncertainty_j": window.total_uncertainty_j,
        "power_total_w": window.power_w,
        "energy_estimated_j": window.estimated_j,
        "power_estimated_w": window.estimated_power_w,
        "n_wraps": window.wraps if window.by_domain else None,
        "cpu_utilisation": use.utilisation,
        "foreign_cpu_s": use.foreign_s,
        "foreign_cores": None if use.foreign_s is None else use.foreign_s / window.duration_s,
        "foreign_ray_cpu_s": use.ray_s,
        "own_cpu_s": use.own_s,
        **_checks(window),
    }
    if window.estimate is not None:
        row |= {"model_idle_w": window.estimate.idle_w, "model_max_w": window.estimate.max_w}
    for socket in range(SOCKETS):
        row[f"energy_pkg{socket}_j"] = sum_j(window.parts(DomainKind.PACKAGE, socket))
        row[f"energy_dram{socket}_j"] = sum_j(window.parts(DomainKind.DRAM, socket))
    return row


def _checks(window: EnergyWindow) -> Row:
    """The same window by perf_event, where it ran along with another source."""
    perf = next((check for check in window.checks if check.source is MeterKind.PERF), None)
    return {
        "energy_pkg_perf_j": perf.package_j if perf else None,
        "energy_dram_perf_j": perf.dram_j if perf else None,
    }


def node_columns(reading: DcmiReading | None) -> Row:
    """What the BMC said right after the window."""
    if reading is None:
        return {"power_node_dcmi_w": None, "temperature_inlet_c": None}
    power_w = None if reading.power_w is None else float(reading.power_w)
    return {"power_node_dcmi_w": power_w, "temperature_inlet_c": reading.inlet_c}


def control_columns(control: ControlResult | None) -> Row:
    """The last control workload of this node and session; one without a result gives no numbers."""
    if control is None or control.duration_s <= 0:
        return {"control_id": None, "control_energy_j": None, "control_duration_s": None}
    return {
        "control_id": control.control_id,
        "control_energy_j": control.energy_total_j,
        "control_duration_s": control.duration_s,
    }


def sample_rows(samples: Iterable[PowerSample]) -> list[Row]:
    """The power trace in its long form: one row a domain and second."""
    return [{"t_s": each.t_s, "domain": each.domain, "power_w": each.power_w} for each in samples]


def phase_columns(phase: str, windows: Sequence[EnergyWindow]) -> Row:
    """Energy and length of a phase besides the inference window; nothing for a phase without columns."""
    if phase not in PHASES:
        return {}
    return {
        f"duration_{phase}_s": sum(window.duration_s for window in windows),
        f"energy_pkg_{phase}_j": _total([window.package_j for window in windows]),
        f"energy_dram_{phase}_j": _total([window.dram_j for window in windows]),
        f"energy_estimated_{phase}_j": _total([window.estimated_j for window in windows]),
    }


def phase_rows(phase: str, window: EnergyWindow) -> list[Row]:
    """The long form: one row a domain, one for an estimate."""
    shared = {"phase": phase, "begin_ns": window.begin_ns, "end_ns": window.end_ns}
    rows: list[Row] = [
        {
            **shared,
            "domain": name,
            "energy_j": each.joules,
            "quality": each.quality.value,
            "reason": each.reason,
        }
        for name, each in window.by_domain.items()
    ]
    if window.estimate is not None:
        quality = Quality.UNAVAILABLE if window.estimated_j is None else Quality.ESTIMATED
        rows.append(
            {
                **shared,
                "domain": "machine",
                "energy_j": window.estimated_j,
                "quality": quality.value,
                "reason": window.estimate.reason,
            }
        )
    return rows


def work_columns(findings: Findings, window: EnergyWindow) -> Row:
    """Work, throughput, latencies, and energy per unit of work."""
    length, work, images = window.duration_s, findings.work_units, findings.images
    latencies = sorted(findings.batch_latencies_s)
    return {
        "batches_measured": len(latencies) or None,
        **findings.columns,
        "work_unit": findings.work_unit,
        "work_units_measured": work,
        "images_measured": images,
        "passes": findings.passes,
        "time_per_work_unit_s": _ratio(length, work),
        "time_per_image_s": _ratio(length, images),
        "throughput_work_units_per_s": _ratio(work, length),
        "throughput_images_per_s": _ratio(images, length),
        "energy_per_work_unit_j": _ratio(window.total_j, work),
        "energy_per_image_j": _ratio(window.total_j, images),
        "energy_estimated_per_work_unit_j": _ratio(window.estimated_j, work),
        "energy_estimated_per_image_j": _ratio(window.estimated_j, images),
        "latency_batch_mean_s": math.fsum(latencies) / len(latencies) if latencies else None,
        "latency_batch_p50_s": quantile(latencies, 0.50),
        "latency_batch_p95_s": quantile(latencies, 0.95) if len(latencies) >= MIN_P95_BATCHES else None,
        "latency_batch_p99_s": quantile(latencies, 0.99) if len(latencies) >= MIN_P99_BATCHES else None,
    }


def energy_flags(window: EnergyWindow) -> list[str]:
    """What the reader of a window's numbers must know; nulls with their reasons."""
    told = [flag for flag in window.flags if flag is not Flag.CROSS_CHECK]  # which is a gate
    flags = [f"energy {flag.value}: {_detail(flag, window)}" for flag in told]
    missing = [each for each in window.parts() if each.joules is None]
    flags += [f"energy unavailable: {each.domain.id}: {each.reason}" for each in missing]
    if window.estimate is not None and window.estimate.reason:
        flags.append(f"energy unavailable: {window.estimate.reason}")
    return flags


def phase_flags(phase: str, window: EnergyWindow) -> list[str]:
    """Numbers of another phase that cannot be right; a null has its reason in the phases table."""
    wrong = [each for each in window.parts() if Flag.IMPLAUSIBLE in each.flags]
    return [f"energy {Flag.IMPLAUSIBLE.value} in {phase}: {each.reason or each.domain.id}" for each in wrong]


def is_valid(window: EnergyWindow) -> bool:
    """Whether no number that was asked for is missing or impossible."""
    if window.source is MeterKind.NONE:
        return True
    return Flag.IMPLAUSIBLE not in window.flags and window.quality is not Quality.UNAVAILABLE


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """A quantile by linear interpolation (Hyndman and Fan's type 7, numpy's default) of sorted values; None of none."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _detail(flag: Flag, window: EnergyWindow) -> str:
    named = [each for each in window.parts() if flag in each.flags]
    if flag is Flag.SHORT:
        return f"{', '.join(each.domain.id for each in named)}: shorter than {SHORT_UPDATES} updates of the counter"
    return "; ".join(each.reason or each.domain.id for each in named)


def _qualities(window: EnergyWindow) -> list[str]:
    found = [f"{name}: {each.quality.value}" for name, each in window.by_domain.items()]
    return found if window.estimate is None else [f"machine: {window.quality.value}"]


def _ratio(quantity: float | None, by: float | None) -> float | None:
    return quantity / by if quantity is not None and by else None


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known and len(known) == len(values) else None
