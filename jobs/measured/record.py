"""A measured command as one JSON object: every run with the columns that a sweep's row has, each domain beside them.

Names and units are those of `sipa.columns`; what is not known is null, and its reason stands in `reasons`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from jobs.measured.command import MeasuredCommand, MeasuredRun
from jobs.net import baseline, net_columns
from jobs.rows import energy_flags, node_columns, window_columns
from sipa.energy.window import CheckedEnergy, DomainEnergy, EnergyWindow

RECORD_VERSION = 1

SUMMARISED = (
    "window_s",
    "energy_pkg_j",
    "energy_dram_j",
    "energy_total_j",
    "energy_net_j",
    "power_total_w",
    "energy_estimated_j",
)
"""What gets mean, standard deviation and 95 % t interval from two runs on."""


def record(measured: MeasuredCommand) -> dict[str, Any]:
    """JSON values only."""
    order, runs = measured.order, [run_columns(measured, run) for run in measured.runs]
    idle = baseline(measured.idle)
    return {
        "record_version": RECORD_VERSION,
        "command": list(order.command),
        "exit_code": measured.ended.exit_code,
        "ended": measured.ended.how,
        "meter": measured.source.value,
        "checks": [kind.value for kind in measured.checks],
        "passed_over": list(measured.passed_over),
        "rehearsal_root": None if order.root.resolve() == order.root.resolve().parent else str(order.root),
        "runs_asked": order.repeat,
        "runs": [{**columns, **_details(measured, run)} for columns, run in zip(runs, measured.runs, strict=True)],
        "idle": {
            "power_idle_total_w": idle.power_w,
            "power_idle_uncertainty_w": idle.uncertainty_w,
            "power_idle_drift_w": idle.drift_w,
            "windows": [_window(window) for window in measured.idle],
        },
        "statistics": statistics(runs),
    }


def run_columns(measured: MeasuredCommand, run: MeasuredRun) -> dict[str, Any]:
    """The columns of one run."""
    row = {
        **window_columns(run.window, run.use),
        **run.host,
        **node_columns(run.node),
        "frequency_effective_hz": run.frequency_hz,
    }
    return {
        "started_at": run.started_at.isoformat(),
        "exit_code": run.ended.exit_code,
        **row,
        **net_columns(row, measured.idle),
    }


def statistics(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation and 95 % t interval of every column in which all runs have a number."""
    if len(runs) < 2:
        return {}
    from sipa.analysis.intervals import mean_interval

    found = {}
    for name in SUMMARISED:
        values = [run[name] for run in runs]
        if all(isinstance(value, float) and math.isfinite(value) for value in values):
            found[name] = asdict(mean_interval(values))
    if "energy_net_j" in found:
        found["energy_net_j"]["idle_uncertainty_j"] = idle_uncertainty_j(runs)
    return found


def idle_uncertainty_j(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """What the idle power's uncertainty makes of a mean net energy.

    All runs have the same idle windows and so the same error: repeating does not lessen it, and no interval shows it.
    """
    bounds = [(run["energy_net_uncertainty_j"], run["energy_total_uncertainty_j"]) for run in runs]
    known = [net_j - total_j for net_j, total_j in bounds if net_j is not None and total_j is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(bounds) else None


def _details(measured: MeasuredCommand, run: MeasuredRun) -> dict[str, Any]:
    reasons = energy_flags(run.window)
    if run.node is not None and run.node.reason:
        reasons.append(f"node power: {run.node.reason}")
    elif run.node is None and measured.node_reason:
        reasons.append(f"node power: {measured.node_reason}")
    return {
        "quality": run.window.quality.value,
        "flags": [flag.value for flag in run.window.flags],
        "reasons": reasons,
        "domains": _domains(run.window.by_domain, run.window.duration_s),
        "checks": [_check(check, run.window.duration_s) for check in run.window.checks],
    }


def _window(window: EnergyWindow) -> dict[str, Any]:
    return {
        "window_s": window.duration_s,
        "energy_total_j": window.total_j,
        "power_total_w": window.power_w,
        "energy_total_uncertainty_j": window.total_uncertainty_j,
        "domains": _domains(window.by_domain, window.duration_s),
    }


def _check(check: CheckedEnergy, duration_s: float) -> dict[str, Any]:
    return {
        "meter": check.source.value,
        "energy_pkg_j": check.package_j,
        "energy_dram_j": check.dram_j,
        "disagreements": list(check.disagreements),
        "domains": _domains(check.by_domain, duration_s),
    }


def _domains(by_domain: Mapping[str, DomainEnergy], duration_s: float) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "kind": each.domain.kind.value,
            "in_total": each.domain.counted,
            "energy_j": each.joules,
            "power_w": None if each.joules is None or duration_s <= 0 else each.joules / duration_s,
            "uncertainty_j": each.uncertainty_j,
            "quality": each.quality.value,
            "n_wraps": each.wraps,
            "flags": [flag.value for flag in each.flags],
            "reason": each.reason,
        }
        for name, each in by_domain.items()
    }
