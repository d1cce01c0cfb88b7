"""Whose CPU time it was: the machine's, from /proc/stat, and our own processes', by session id.

The kernel adds a dead child's time to its parent when it is waited for; own and waited-for time of each process of the
session together are therefore the session's. Resolution: one clock tick (10 ms).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from jobs.processes import session_processes
from sipa.energy.power_model import read_cpu_times
from sipa.errors import MeterError

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """CPU seconds since boot.

    Attributes:
        busy_s: of all CPUs together, idle and waiting for disk excluded; None where unreadable.
        total_s: of all CPUs together; None where unreadable.
        own_s: of the processes of one session.
    """

    busy_s: float | None
    total_s: float | None
    own_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """CPU use between two readings; None where it could not be read."""

    utilisation: float | None
    foreign_s: float | None


def read(root: Path, session: int) -> CpuTimes:
    """CPU times now: the machine's below `root`, the session's from the real /proc."""
    busy, total = _machine(root / "proc/stat")
    return CpuTimes(busy_s=busy, total_s=total, own_s=_session(session))


def between(begin: CpuTimes, end: CpuTimes) -> CpuUse:
    """CPU use from `begin` to `end`. Foreign time is never negative: ticks of the two sources are not in step."""
    if begin.busy_s is None or end.busy_s is None or begin.total_s is None or end.total_s is None:
        return CpuUse(utilisation=None, foreign_s=None)
    busy, total = end.busy_s - begin.busy_s, end.total_s - begin.total_s
    foreign = max(0.0, busy - (end.own_s - begin.own_s))
    return CpuUse(utilisation=min(1.0, busy / total) if total > 0 else None, foreign_s=foreign)


def _machine(stat: Path) -> tuple[float | None, float | None]:
    try:
        ticks = read_cpu_times(stat)
    except MeterError:
        return None, None
    return ticks.busy * _TICK_S, ticks.total * _TICK_S


def _session(session: int) -> float:
    return sum(process.cpu_ticks for process in session_processes(session)) * _TICK_S
