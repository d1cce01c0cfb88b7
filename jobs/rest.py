"""What a node does between two trials: it cools down, then does nothing for as long as the idle window lasts.

The cool-down comes first, so that the idle window is of the idle machine and not of one that still blows off heat;
the same window then serves as the after of one trial and the before of the next.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs import cpu_time, host_state
from jobs.cooldown import CoolDown, Report, cool_down
from sipa.energy.meter import EnergyMeter
from sipa.energy.window import EnergyWindow
from sipa.spec.model import MeasurementSpec

_NAP_S = 0.5

_NOBODY = -1
"""No session: while a node rests nothing on it is a trial's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """One rest.

    Attributes:
        cooldown: how the wait for a cool node ended.
        idle: the idle window; None where the spec asks for none, or it was cut short.
        temperature_c: of the hottest package at the end; None where it cannot be read.
        foreign_cores: CPU time of everything on the machine during the idle window, in cores; None where unreadable.
    """

    cooldown: CoolDown
    idle: EnergyWindow | None
    temperature_c: float | None
    foreign_cores: float | None = None


def rest(
    measurement: MeasurementSpec,
    meter: EnergyMeter,
    *,
    root: Path,
    coolest_c: float | None,
    abort: Callable[[], bool],
    report: Report,
) -> Rest:
    """Let the node rest.

    Args:
        measurement: how long, and how cool.
        meter: measures the idle window.
        root: where the temperature is read.
        coolest_c: lowest temperature of the idle node so far; None where it is not known.
        abort: asked while waiting.
        report: called with phase, fraction and detail.
    """
    cooldown = cool_down(lambda: host_state.temperature_c(root), coolest_c, measurement, abort=abort, report=report)
    before = cpu_time.read(root, _NOBODY)
    window = _idle(measurement.idle_s, meter, abort, report)
    foreign_s = cpu_time.between(before, cpu_time.read(root, _NOBODY)).foreign_s
    return Rest(
        cooldown=cooldown,
        idle=window,
        temperature_c=host_state.temperature_c(root),
        foreign_cores=None if window is None or foreign_s is None else foreign_s / window.duration_s,
    )


def _idle(length_s: float, meter: EnergyMeter, abort: Callable[[], bool], report: Report) -> EnergyWindow | None:
    if length_s <= 0:
        return None
    report("idle", None, "")
    with meter.window("idle") as window:
        deadline = time.monotonic() + length_s
        while (left := deadline - time.monotonic()) > 0 and not abort():
            time.sleep(min(left, _NAP_S))
    return None if abort() else window.energy
