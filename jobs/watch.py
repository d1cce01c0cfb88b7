"""Start the trial's own process, listen to it, and end it past its deadline with everything that it started."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.processes import kill_session

_POLL_S = 0.5
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a trial is doing now.

    Attributes:
        fraction: of the phase, 0 to 1; None when its length is not known.
    """

    trial_id: str
    phase: str
    fraction: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the process ended.

    Attributes:
        exit_code: negative for the signal that killed it.
        flags: what the reader of the row must know.
    """

    exit_code: int
    timed_out: bool
    aborted: bool
    flags: tuple[str, ...] = ()


def watch(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    inherited: int,
    deadline_s: float,
    abort: Callable[[], bool],
    report: Callable[[str, float | None, str], None],
) -> Ended:
    """Run a process in a session of its own until it ends, its deadline passes, or `abort` says so.

    Args:
        command: the program; `--messages FD` is added.
        log: takes its standard output and error; a new file.
        environment: its environment variables.
        inherited: a descriptor that it inherits and so keeps open (the node's lock).
        deadline_s: seconds until it is killed.
        abort: asked twice a second.
        report: called with each message: phase, fraction, detail.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    with log.open("wb") as output, os.fdopen(reader, "rb", buffering=0) as messages:
        try:
            process = subprocess.Popen(
                [*command, "--messages", str(writer)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                pass_fds=(writer, inherited),
                start_new_session=True,
            )
        finally:
            os.close(writer)
        try:
            return _until_end(process, messages.fileno(), deadline_s, abort, report)
        finally:
            _kill(process)
            if process.stdin is not None:
                process.stdin.close()


def _until_end(
    process: subprocess.Popen[bytes],
    messages: int,
    deadline_s: float,
    abort: Callable[[], bool],
    report: Callable[[str, float | None, str], None],
) -> Ended:
    deadline = time.monotonic() + deadline_s
    lines = _Lines(messages)
    with selectors.DefaultSelector() as selector:
        selector.register(messages, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or abort():
                _kill(process)
                return Ended(exit_code=process.returncode, timed_out=left <= 0, aborted=left > 0)
            if not selector.select(min(left, _POLL_S)):
                continue
            found = lines.read()
            if found is None:
                return _wait(process, left)
            for line in found:
                _pass_on(line, report)


def _wait(process: subprocess.Popen[bytes], left: float) -> Ended:
    """The process closed its messages: its findings are written, and it is about to end."""
    try:
        return Ended(exit_code=process.wait(min(left, _GRACE_S)), timed_out=False, aborted=False)
    except subprocess.TimeoutExpired:
        _kill(process)
        flag = f"exit: the process was killed, because it had not ended {_GRACE_S:g} s after its last word"
        late = left <= _GRACE_S
        return Ended(exit_code=process.returncode, timed_out=late, aborted=False, flags=() if late else (flag,))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the session that the process leads, and reap it."""
    kill_session(process.pid)
    process.wait()


def _pass_on(line: bytes, report: Callable[[str, float | None, str], None]) -> None:
    with suppress(ValueError, KeyError, TypeError):
        message = json.loads(line)
        report(str(message["phase"]), message["fraction"], str(message["detail"]))


class _Lines:
    """Whole lines from a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def read(self) -> list[bytes] | None:
        """The lines that are there; None at the end."""
        found = os.read(self._descriptor, 65536)
        if not found:
            return None
        *lines, self._rest = (self._rest + found).split(b"\n")
        return lines
