"""The processes of one session, from /proc: whose CPU time is ours, and what is left to kill.

A trial's process leads a session of its own, and what it starts stays in that session, also in process groups of its
own as `timeout` and shells make them. Only a program that calls setsid(2) leaves it.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_KILL_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process.

    Attributes:
        alive: False for a zombie, which only waits to be reaped.
        cpu_ticks: user and system time, of its own and of children that it waited for.
    """

    pid: int
    alive: bool
    cpu_ticks: int


def session_processes(session: int) -> Iterator[Process]:
    """Every process of a session, in no order; one that ends meanwhile is left out."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (found := _read(entry.path, session)) is not None:
                yield found


def kill_session(session: int, *, spare: int | None = None) -> None:
    """Kill every process of a session, also those that are started meanwhile.

    Args:
        session: its id, the pid of the process that leads it.
        spare: a process to leave alive: the caller, who ends itself.
    """
    deadline = time.monotonic() + _KILL_WITHIN_S
    while time.monotonic() < deadline:
        victims = [each.pid for each in session_processes(session) if each.alive and each.pid != spare]
        if not victims:
            return
        for pid in victims:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _read(folder: str, session: int) -> Process | None:
    try:
        with open(f"{folder}/stat", "rb") as file:  # noqa: PTH123 hundreds of these at each edge of a window
            # The name, in brackets, may hold anything; what follows are numbers (proc_pid_stat(5)).
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 15 or int(fields[3]) != session:
        return None
    return Process(
        pid=int(folder.rpartition("/")[2]), alive=fields[0] not in (b"Z", b"X"), cpu_ticks=sum(map(int, fields[11:15]))
    )
