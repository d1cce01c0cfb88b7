"""Run a command in the foreground, as a shell does: it has the terminal, and its exit code is kept.

Ctrl-C reaches every process of the foreground group, so here it must do nothing: the command decides whether to end,
and what it used until then is still reported.
"""

import os
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What shells, env(1) and timeout(1) return for a command that cannot be run."""

_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes:
        exit_code: its own, or 128 and the number of the signal that killed it, or 126, 127 if it never ran.
        how: in words.
        own_cpu_s: CPU time of the command and everything that it started and waited for.
        interrupted: whether Ctrl-C was pressed meanwhile.
    """

    exit_code: int
    how: str
    own_cpu_s: float
    interrupted: bool = False


def unrunnable(command: Sequence[str]) -> Ended | None:
    """Why a command cannot be run, found out without running it; None if it can."""
    name = command[0]
    if shutil.which(name):
        return None
    # Only a name with a slash is a path: another one is looked up on the PATH, executable or not.
    if os.path.exists(name) if "/" in name else shutil.which(name, mode=os.F_OK):  # noqa: PTH110 as the shell does
        return Ended(exit_code=NOT_EXECUTABLE, how=f"{name}: is not executable", own_cpu_s=0.0)
    return Ended(exit_code=NOT_FOUND, how=f"{name}: not found", own_cpu_s=0.0)


def run(command: Sequence[str], *, stdout: int | None = None) -> Ended:
    """Run a command to its end with this process' streams, environment and terminal.

    Args:
        command: the program and its arguments.
        stdout: descriptor that becomes its standard output; None leaves it.
    """
    before = _children_cpu_s()
    with _relayed() as relay:
        try:
            process = subprocess.Popen(command, stdout=stdout)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            return Ended(exit_code=code, how=f"{command[0]}: {error.strerror}", own_cpu_s=0.0)
        relay.to(process.send_signal)
        code = process.wait()
    killed = code < 0
    return Ended(
        exit_code=_SIGNAL_BASE - code if killed else code,
        how=f"was killed by {_name(-code)}" if killed else f"exited with {code}",
        own_cpu_s=_children_cpu_s() - before,
        interrupted=relay.interrupted,
    )


class _Relay:
    """Passes signals on, also one that comes before there is anybody to pass it to."""

    def __init__(self) -> None:
        self.interrupted = False
        self._send: Callable[[int], None] | None = None
        self._early: list[int] = []

    def to(self, send: Callable[[int], None]) -> None:
        self._send = send
        while self._early:
            send(self._early.pop())

    def on_terminal_signal(self, number: int, _frame: FrameType | None) -> None:
        self.interrupted = self.interrupted or number == signal.SIGINT

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._send is None:
            self._early.append(number)
        else:
            self._send(number)


@contextmanager
def _relayed() -> Iterator[_Relay]:
    """While the context lasts the terminal's signals do nothing here, and others go to the command.

    Handlers of Python's are reset for the command by exec(2); signals that are ignored stay so, as under nohup(1).
    """
    relay = _Relay()
    if threading.current_thread() is not threading.main_thread():
        yield relay
        return
    wanted = {
        signal.SIGINT: relay.on_terminal_signal,
        signal.SIGQUIT: relay.on_terminal_signal,
        signal.SIGTERM: relay.on_signal,
        signal.SIGHUP: relay.on_signal,
    }
    before = {
        number: signal.signal(number, handler)
        for number, handler in wanted.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield relay
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _children_cpu_s() -> float:
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
