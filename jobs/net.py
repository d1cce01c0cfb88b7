"""What the trial itself cost: gross energy less what the idle machine would have drawn in the same time, and how sure.

Net energy is much weaker than gross: the idle windows add their own error and the machine drifts between them, and
dynamic energy of on-chip sensors has been found far off the plug's (Fahad et al. 2019, Energies 12(11):2204).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sipa.energy.window import EnergyWindow, Flag
from sipa.trial import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The idle machine round a trial.

    Attributes:
        power_w: mean power of the summed domains in the idle windows; None if one of them is unavailable or cannot
            be right.
        uncertainty_w: bound of its counting error.
        drift_w: power after less power before; None with fewer than two windows.
    """

    power_w: float | None = None
    uncertainty_w: float | None = None
    drift_w: float | None = None


def baseline(idle: Sequence[EnergyWindow]) -> Baseline:
    """The idle machine, from the idle windows before and after a trial, in this order."""
    length_s = math.fsum(window.duration_s for window in idle)
    energy_j = _total([None if Flag.IMPLAUSIBLE in window.flags else window.total_j for window in idle])
    if energy_j is None or length_s <= 0:
        return Baseline()
    uncertainty_j = _total([window.total_uncertainty_j for window in idle])
    powers_w = [window.power_w for window in idle if window.power_w is not None]
    return Baseline(
        power_w=energy_j / length_s,
        uncertainty_w=None if uncertainty_j is None else uncertainty_j / length_s,
        drift_w=powers_w[-1] - powers_w[0] if len(powers_w) > 1 else None,
    )


def net_columns(row: Mapping[str, object], idle: Sequence[EnergyWindow]) -> Row:
    """Net energy, its uncertainty, and what of it foreign CPU time accounts for.

    Net is `energy_total_j - idle power * window_s`. The uncertainty of net is a bound, not a standard deviation:
    `energy_total_uncertainty_j + (idle power's uncertainty + |drift| / 2) * window_s`. Half the drift, because the
    idle power is the mean of before and after, so that in between the true one is off by at most half their
    difference if it changes in one direction. With one idle window there is no drift and so no bound.

    Foreign processes' part of net is `energy_net_j * foreign / (own + foreign)` in CPU seconds: derived, on the
    assumption that every busy second of any CPU costs the same. It is a size to judge by, and is subtracted nowhere.

    Args:
        row: with the columns of the inference window.
        idle: the windows before and after, as far as there are any.
    """
    found, total_j, length_s = baseline(idle), _number(row, "energy_total_j"), _number(row, "window_s")
    net_j: float | None = None
    if found.power_w is not None and total_j is not None and length_s is not None:
        net_j = total_j - found.power_w * length_s
    return {
        "power_idle_total_w": found.power_w,
        "power_idle_drift_w": found.drift_w,
        "energy_net_j": net_j,
        "energy_net_uncertainty_j": None if net_j is None else _uncertainty_j(row, found),
        "foreign_energy_bias_j": _bias_j(row, net_j),
    }


def _uncertainty_j(row: Mapping[str, object], found: Baseline) -> float | None:
    total_j, length_s = _number(row, "energy_total_uncertainty_j"), _number(row, "window_s")
    if total_j is None or length_s is None or found.uncertainty_w is None or found.drift_w is None:
        return None
    return total_j + (found.uncertainty_w + abs(found.drift_w) / 2) * length_s


def _bias_j(row: Mapping[str, object], net_j: float | None) -> float | None:
    foreign_s, own_s = _number(row, "foreign_cpu_s"), _number(row, "own_cpu_s")
    if net_j is None or foreign_s is None or own_s is None or foreign_s + own_s <= 0:
        return None
    return net_j * foreign_s / (foreign_s + own_s)


def _number(row: Mapping[str, object], name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, float) else None


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known and len(known) == len(values) else None
