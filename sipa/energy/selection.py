"""Which energy source is used: the first usable one of those that were asked for, never silently another.

An estimate is made only where the model is named; a misspelt name is an error even if the next one would do.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import assert_never

from sipa.energy.power_model import ModelSource, PowerModel
from sipa.energy.powercap import PowercapSource
from sipa.energy.source import MeterKind, Source
from sipa.energy.unmetered import NoSource
from sipa.errors import MeterError

MEASURED = (MeterKind.POWERCAP, MeterKind.PERF)
"""What is used when nothing is asked for: never an estimate."""

Clock = Callable[[], int]
"""Monotonic nanoseconds."""


def first_usable(
    names: Sequence[str] | None, root: Path, clock: Clock, model: PowerModel | None
) -> tuple[Source, tuple[str, ...]]:
    """The first source that opens, and why those before it did not.

    Args:
        names: of `MeterKind`, in order of preference; None: `MEASURED`.
        root: where `sys` and `proc` are.
        clock: for the source.
        model: declared watts, for the model.

    Raises:
        MeterError: a name is unknown, or no source is usable: why not, with the cure.
    """
    kinds = _kinds(names)
    reasons: list[str] = []
    for kind in kinds:
        try:
            return _open(kind, root, clock, model), tuple(reasons)
        except MeterError as error:
            reasons.append(f"{kind}: {error}")
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
    asked = (names,) if isinstance(names, str) else tuple(names)
    if not asked:
        raise MeterError("no energy meter was named")
    if unknown := [name for name in asked if name not in list(MeterKind)]:
        raise MeterError(f"unknown meter {', '.join(map(repr, unknown))}: there are {', '.join(MeterKind)}")
    return tuple(map(MeterKind, asked))


def _open(kind: MeterKind, root: Path, clock: Clock, model: PowerModel | None) -> Source:
    match kind:
        case MeterKind.POWERCAP:
            return PowercapSource(root, clock)
        case MeterKind.PERF:
            raise MeterError("the perf meter is not available in this version")
        case MeterKind.MODEL:
            if model is None:
                raise MeterError("needs the watts of this machine: model=PowerModel(idle_w=..., max_w=...)")
            return ModelSource(root, clock)
        case MeterKind.NONE:
            return NoSource(clock)
        case _:
            assert_never(kind)
