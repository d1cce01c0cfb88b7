"""A process that restores the knobs when their session cannot: it waits until the session is gone, however it died.

It sleeps in read(2) on a pipe whose other end only the session has, so it costs no CPU time while trials are
measured. It is a grandchild in a session of its own: neither Ctrl-C nor whatever ends the session's children ends it.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from typing import IO

from sipa.errors import HostError

_READY = b"ready\n"
_READY_WITHIN_S = 60.0


@contextmanager
def guarded(root: Path, session: str, lock: int) -> Iterator[None]:
    """Have a guardian for as long as the context lasts.

    Args:
        root: where the knobs are.
        session: whose entries it restores from the journal, if they are still there at the end.
        lock: descriptor of the lock on the knobs, which it holds along.

    Raises:
        HostError: it did not start.
    """
    process = _started(root, session, lock)
    with process, _pipe(process.stdin), _pipe(process.stdout) as said:
        if not (select([said], [], [], _READY_WITHIN_S)[0] and said.readline() == _READY):
            process.kill()
            raise HostError(_not_started("it said nothing"))
        said.close()
        # The process itself has ended; its child, who guards, is nobody's to wait for.
        process.wait()
        yield


def _started(root: Path, session: str, lock: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "jobs", "restore-host", "--root", str(root.absolute())]
    try:
        return subprocess.Popen(
            [*command, "--session", session, "--lock", str(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(_not_started(str(error))) from error


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("Popen made no pipe")
    return pipe


def _not_started(why: str) -> str:
    return (
        f"the process that would restore the governor after a crash did not start: {why}. "
        f"Cure: see what this says: {sys.executable} -P -m jobs restore-host"
    )


def guard(session: str, lock: int, root: Path) -> None:
    """Be the guardian: wait for end-of-file on standard input, then restore what the session left.

    Args:
        session: whose entries.
        lock: the lock's descriptor; waited for where other sessions still use the knobs.
        root: where the knobs are.
    """
    from jobs.host.restoring import restore_session

    if os.fork():
        os._exit(0)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    os.write(1, _READY)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while os.read(0, 64):
        pass
    with suppress(HostError):
        restore_session(session, root, wait=lambda: fcntl.flock(lock, fcntl.LOCK_EX))
