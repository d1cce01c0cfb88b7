"""Which energy source is used: the first usable one of those that were asked for, never silently another.

Other counters that were named run along as a check. An estimate is made only where the model is named and no counter
before it can be used; a misspelt name is an error even if the next one would do.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import assert_never

from sipa.energy.perf_event import PerfSource
from sipa.energy.power_model import ModelSource, PowerModel
from sipa.energy.powercap import PowercapSource
from sipa.energy.source import MeterKind, Source
from sipa.energy.unmetered import NoSource
from sipa.errors import MeterError

MEASURED = (MeterKind.POWERCAP, MeterKind.PERF)
"""What is used when nothing is asked for: never an estimate."""

Clock = Callable[[], int]
"""Monotonic nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The sources of a meter.

    Attributes:
        source: the one that is used.
        checks: counters that run along in the same windows.
        passed_over: why each other one that was named is not used.
    """

    source: Source
    checks: tuple[Source, ...]
    passed_over: tuple[str, ...]


def choose(names: Sequence[str] | None, root: Path, clock: Clock, model: PowerModel | None) -> Choice:
    """The first source that opens, every other named counter that does, and why the rest did not.

    Args:
        names: of `MeterKind`, in order of preference; None: the first of `MEASURED`, without a check.
        root: where `sys` and `proc` are.
        clock: for the sources.
        model: declared watts, for the model.

    Raises:
        MeterError: a name is unknown, or no source is usable: why not, with the cure.
    """
    kinds = _kinds(names)
    opened: list[Source] = []
    reasons: list[str] = []
    for kind in kinds:
        if opened and (names is None or kind not in MEASURED):
            continue
        try:
            opened.append(_open(kind, root, clock, model))
        except MeterError as error:
            reasons.append(f"{kind}: {error}")
    if opened:
        return Choice(source=opened[0], checks=tuple(opened[1:]), passed_over=tuple(reasons))
    if MeterKind.MODEL not in kinds:
        reasons.append(
            "An estimate is made only where 'model' is named, with the watts of this machine. In a sweep file: "
            "'model' in measurement.meter, and [measurement.model] with idle_w and max_w. In Python: "
            "EnergyMeter(['model'], model=PowerModel(idle_w=..., max_w=...))"
        )
    raise MeterError("\n".join(["no energy meter can be used here:", *reasons]))


def why_unusable(kind: MeterKind, root: Path = Path("/"), model: PowerModel | None = None) -> str | None:
    """Why a source cannot be used on this machine, with the cure; None if it can.

    Args:
        kind: the source.
        root: where `sys` and `proc` are.
        model: declared watts, for the model.
    """
    try:
        _open(kind, root, time.monotonic_ns, model).close()
    except MeterError as error:
        return str(error)
    return None


def _kinds(names: Sequence[str] | None) -> tuple[MeterKind, ...]:
    """The sources asked for; a misspelt one must not let the next, perhaps an estimate, win unnoticed."""
    if names is None:
        return MEASURED
    if not isinstance(names, Iterable):
        raise MeterError(f"sources must be names of meters, such as ['powercap', 'perf'], but is {names!r}")
    asked = (names,) if isinstance(names, str) else tuple(names)
    if not asked:
        raise MeterError("no energy meter was named")
    if unknown := [name for name in asked if name not in list(MeterKind)]:
        there_are = f"there are {', '.join(MeterKind)}{_did_you_mean(unknown[0])}"
        raise MeterError(f"unknown meter {', '.join(map(repr, unknown))}: {there_are}")
    return tuple(dict.fromkeys(map(MeterKind, asked)))


def _did_you_mean(name: object) -> str:
    near = get_close_matches(str(name), list(MeterKind), n=1)
    return f". Did you mean '{near[0]}'?" if near else ""


def _open(kind: MeterKind, root: Path, clock: Clock, model: PowerModel | None) -> Source:
    match kind:
        case MeterKind.POWERCAP:
            return PowercapSource(root, clock)
        case MeterKind.PERF:
            return PerfSource(root, clock)
        case MeterKind.MODEL:
            if model is None:
                raise MeterError("needs the watts of this machine: model=PowerModel(idle_w=..., max_w=...)")
            return ModelSource(root, clock)
        case MeterKind.NONE:
            return NoSource(clock)
        case _:
            assert_never(kind)
