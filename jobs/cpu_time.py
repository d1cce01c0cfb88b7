"""Whose CPU time it was: the machine's, from /proc/stat; the trial's session's and Ray's own, from one scan of /proc.

The kernel adds a dead child's time to its parent when it is waited for; own and waited-for time of each process of the
session together are therefore the session's. Ray reaps workers that it had started long before, so of its processes
only their own time counts. Resolution: one clock tick (10 ms).
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jobs.processes import Process, command_of, processes
from sipa.energy.power_model import read_cpu_times
from sipa.errors import MeterError

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""A clock tick, the resolution of what is counted here."""

_RAY_NAMES = ("raylet", "gcs_server")
_RAY_PREFIXES = ("ray::", "ray-")
_RAY_SCRIPTS = ("/ray/_private/", "/ray/autoscaler/", "/ray/dashboard/")
"""What Ray calls its processes (ray/_private/services.py); its monitors keep the interpreter's name."""

_Key = tuple[int, int]
"""Process id and start: an id may be used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """CPU seconds since boot.

    Attributes:
        busy_s: of all CPUs together, idle and waiting for disk excluded; None where unreadable.
        total_s: of all CPUs together; None where unreadable.
        own_s: of the processes of one session.
        ray_s: of each of Ray's own processes.
    """

    busy_s: float | None
    total_s: float | None
    own_s: float
    ray_s: Mapping[_Key, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """CPU use between two readings; None where it could not be read.

    Attributes:
        utilisation: busy share of all CPUs, 0 to 1.
        foreign_s: CPU time of all processes but the session's.
        ray_s: of `foreign_s`, what Ray's own processes used that were alive at the end.
        own_s: CPU time of the session's processes.
    """

    utilisation: float | None
    foreign_s: float | None
    ray_s: float | None = None
    own_s: float | None = None


def read(root: Path, session: int) -> CpuTimes:
    """CPU times now: the machine's below `root`, those of processes from the real /proc."""
    busy, total = machine_s(root)
    own_ticks, ray = _of_processes(processes(), session)
    return CpuTimes(busy_s=busy, total_s=total, own_s=own_ticks * TICK_S, ray_s=ray)


def between(begin: CpuTimes, end: CpuTimes) -> CpuUse:
    """CPU use from `begin` to `end`. Foreign time is never negative: ticks of the two sources are not in step."""
    own = max(0.0, end.own_s - begin.own_s)
    if begin.busy_s is None or end.busy_s is None or begin.total_s is None or end.total_s is None:
        return CpuUse(utilisation=None, foreign_s=None, own_s=own)
    busy, total = end.busy_s - begin.busy_s, end.total_s - begin.total_s
    foreign = max(0.0, busy - own)
    return CpuUse(
        utilisation=min(1.0, busy / total) if total > 0 else None,
        foreign_s=foreign,
        ray_s=min(foreign, _ray(begin, end)),
        own_s=own,
    )


def is_ray(name: str, command: Callable[[], Sequence[str]] = tuple) -> bool:
    """Whether a process is Ray's own.

    Args:
        name: of the process.
        command: gives its command line; asked only if it is an interpreter.
    """
    if name.startswith("python"):
        return any(script in word for word in command()[1:] for script in _RAY_SCRIPTS)
    return name in _RAY_NAMES or name.startswith(_RAY_PREFIXES)


def _ray(begin: CpuTimes, end: CpuTimes) -> float:
    return sum(max(0.0, spent - begin.ray_s.get(key, 0.0)) for key, spent in end.ray_s.items())


def _of_processes(found: Iterable[Process], session: int) -> tuple[int, dict[_Key, float]]:
    own_ticks, ray = 0, dict[_Key, float]()
    for process in found:
        if process.session == session:
            own_ticks += process.cpu_ticks
        elif is_ray(process.name, partial(command_of, process.pid)):
            ray[process.pid, process.started_ticks] = process.own_ticks * TICK_S
    return own_ticks, ray


def machine_s(root: Path) -> tuple[float | None, float | None]:
    """Seconds since boot of all CPUs together, busy and in all; None where unreadable."""
    try:
        ticks = read_cpu_times(root / "proc/stat")
    except MeterError:
        return None, None
    return ticks.busy * TICK_S, ticks.total * TICK_S
