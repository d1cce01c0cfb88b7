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
        started_ticks: when it was started; a later process may have the same pid, never the same start.
        session: pid of the process that leads its session.
        name: of its first thread, at most 15 bytes (proc_pid_comm(5)).
        alive: False for a zombie, which only waits to be reaped.
        own_ticks: user and system time of its own.
        cpu_ticks: the same with that of children that it waited for.
    """

    pid: int
    started_ticks: int
    session: int
    name: str
    alive: bool
    own_ticks: int
    cpu_ticks: int


def processes() -> Iterator[Process]:
    """Every process, in no order; one that ends meanwhile is left out."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (found := _read(entry.path)) is not None:
                yield found


def session_processes(session: int) -> Iterator[Process]:
    """Every process of a session, in no order; one that ends meanwhile is left out."""
    return (process for process in processes() if process.session == session)


def command_of(pid: int) -> list[str]:
    """The words of a process' command line; none if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 as below
            return [word.decode(errors="replace") for word in file.read().split(b"\0")]
    except OSError:
        return []


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


def _read(folder: str) -> Process | None:
    try:
        with open(f"{folder}/stat", "rb") as file:  # noqa: PTH123 hundreds of these at each edge of a window
            # The name, in brackets, may hold anything; what follows are numbers (proc_pid_stat(5)).
            head, _, rest = file.read().rpartition(b")")
    except OSError:
        return None
    fields = rest.split()
    if len(fields) < 20:
        return None
    own, waited_for = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return Process(
        pid=int(folder.rpartition("/")[2]),
        started_ticks=int(fields[19]),
        session=int(fields[3]),
        name=head.partition(b"(")[2].decode(errors="replace"),
        alive=fields[0] not in (b"Z", b"X"),
        own_ticks=own,
        cpu_ticks=own + waited_for,
    )
