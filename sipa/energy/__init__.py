"""Energy of a stretch of time, from counters that wrap, with quality and reason: standard library only.

`with EnergyMeter() as meter, meter.window("inference") as window: ...`, then `window.total_j`. What cannot be
known is None and says why; an estimate is asked for by name and never added to a measurement. The sum of packages and
DRAM is not what the server draws: no power supply, fan, disk, network card or GPU is in it.
"""

from sipa.energy.meter import EnergyMeter, Token
from sipa.energy.power_model import Estimate, PowerModel
from sipa.energy.readings import Domain, DomainKind
from sipa.energy.selection import why_unusable
from sipa.energy.source import MeterKind
from sipa.energy.trace import PowerSample
from sipa.energy.window import (
    CheckedEnergy,
    DomainEnergy,
    EnergyWindow,
    Flag,
    Quality,
    sum_j,
    sum_uncertainty_j,
)

__all__ = [
    "CheckedEnergy",
    "Domain",
    "DomainEnergy",
    "DomainKind",
    "EnergyMeter",
    "EnergyWindow",
    "Estimate",
    "Flag",
    "MeterKind",
    "PowerModel",
    "PowerSample",
    "Quality",
    "Token",
    "sum_j",
    "sum_uncertainty_j",
    "why_unusable",
]
