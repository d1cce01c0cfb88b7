"""What `perf stat -x,` prints, summed over its intervals: strict, because a misread line is a wrong energy.

In a locale with decimal commas `-x,` prints `0,07,Joules`: that would read as 7 J at second 0, so it is refused.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sipa.energy.perf_pmu import MODULE_CURE
from sipa.errors import MeterError

PACKAGE_EVENT = "power/energy-pkg/"
DRAM_EVENT = "power/energy-ram/"
UNIT = "Joules"

PARANOID_CURE = "sudo sysctl kernel.perf_event_paranoid=0 (once per boot), or run as root"
"""What lets a user count events of the whole machine."""

_STALLED_S = 1.0
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TIMESTAMP = re.compile(r" *\d+\.\d{9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfStatEnergy:
    """What `perf stat` counted from the start of the process to its end, the whole machine included.

    Attributes:
        package_j: all CPU packages.
        dram_j: all DRAM domains; None where it was not counted.
        duration_s: of the last time stamp; None without intervals.
        intervals: printed readings that were summed.
        reasons: why a number is None.
    """

    package_j: float
    dram_j: float | None
    duration_s: float | None
    intervals: int
    reasons: tuple[str, ...] = ()


def parse(
    text: str,
    path: Path,
    *,
    package_event: str = PACKAGE_EVENT,
    dram_event: str = DRAM_EVENT,
    unit: str = UNIT,
) -> PerfStatEnergy:
    """Sum what `perf stat -x,` printed, with `-I` or without.

    Args:
        text: its whole output.
        path: where it stood, for messages.
        package_event: the event of the packages; must be there.
        dram_event: the event of DRAM; in every interval or in none.
        unit: of both.

    Raises:
        MeterError: anything is not exactly as it should be: file, line and why.
    """
    if text and not text.endswith("\n"):
        raise MeterError(f"{path}:{text.count(chr(10)) + 1}: the last line is cut off: perf was killed")
    counts = list(_counts(text, path, (package_event, dram_event), unit))
    packages = [count for count in counts if count.event == package_event]
    if not packages:
        raise MeterError(f"{path}: no line has {package_event}, so nothing was counted: perf failed or was killed")
    drams = [count for count in counts if count.event == dram_event]
    _see_that_all_are_there(packages, drams, path)
    duration_s = packages[-1].end_s
    if stalled := _stalled(packages, duration_s):
        raise MeterError(f"{path}: {stalled}")
    reason = _stalled(drams, duration_s) if drams else f"{dram_event} was not counted"
    return PerfStatEnergy(
        package_j=math.fsum(count.joules for count in packages),
        dram_j=None if reason else math.fsum(count.joules for count in drams),
        duration_s=duration_s,
        intervals=len(packages),
        reasons=(reason,) if reason else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """One line.

    Attributes:
        end_s: end of its interval, from perf's start; None without intervals.
    """

    line: int
    event: str
    joules: float
    end_s: float | None


def _counts(text: str, path: Path, events: Sequence[str], unit: str) -> Iterator[_Count]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            yield _count(line, number, events, unit)
        except _RefusedError as why:
            raise MeterError(f"{path}:{number}: {why}: {line.strip()!r}") from None


class _RefusedError(ValueError):
    """Why a line is not taken."""


def _count(line: str, number: int, events: Sequence[str], unit: str) -> _Count:
    """One line: `[time stamp,]value,unit,event,run time,percent[,metric,unit of it]` (perf-stat(1), CSV FORMAT)."""
    fields = line.split(",")
    timed = bool(_TIMESTAMP.fullmatch(fields[0]))
    if len(fields) < 5 + timed:
        raise _RefusedError("is no line of perf stat -x,")
    value, found_unit, event, _, percent = fields[timed : timed + 5]
    if found_unit != unit and unit in fields and re.fullmatch(r"-?\d+", value):
        raise _RefusedError("has decimal commas, which are also the separators. Cure: run perf with LC_ALL=C")
    if event not in events:
        raise _RefusedError(f"is about none of {', '.join(events)}")
    if value in ("<not counted>", "<not supported>"):
        raise _RefusedError(f"{event} was {value[1:-1]}. Cure: {MODULE_CURE}, and {PARANOID_CURE}")
    if found_unit != unit:
        raise _RefusedError(f"counts {found_unit or 'without a unit'}, not {unit}")
    if not _NUMBER.fullmatch(value):
        raise _RefusedError("has no number")
    if value.startswith("-"):
        raise _RefusedError("is negative: more than 200 W a package without a read in between. Cure: a shorter -I")
    if percent != "100.00":
        raise _RefusedError(f"was counted for {percent} % of the time and extrapolated")
    return _Count(line=number, event=event, joules=float(value), end_s=float(fields[0]) if timed else None)


def _see_that_all_are_there(packages: Sequence[_Count], drams: Sequence[_Count], path: Path) -> None:
    """Every interval after the one before, and each with both events or none with DRAM.

    Raises:
        MeterError: they are not.
    """
    ends = [count.end_s for count in packages]
    for before, after in pairwise(packages):
        if before.end_s is None or after.end_s is None or after.end_s <= before.end_s:
            raise MeterError(f"{path}:{after.line}: is not a later interval than line {before.line}")
    if drams and [count.end_s for count in drams] != ends:
        raise MeterError(f"{path}: not every interval has both {packages[0].event} and {drams[0].event}")


def _stalled(counts: Sequence[_Count], duration_s: float | None) -> str | None:
    """Why a counter that never moved is not believed; None where it moved, or had no time to."""
    if duration_s is None or duration_s < _STALLED_S or any(count.joules for count in counts):
        return None
    return f"{counts[0].event} stood still for {duration_s:.3g} s: it does not count"
