"""The lock that keeps one measurement at a time on a node: whoever's sweep, whatever process.

It is an `flock` on a file: the kernel drops it when the last process that inherited the descriptor is gone, so a
killed controller cannot leave it behind and a trial that lives on keeps it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sipa.errors import HostError

_CANDIDATES = (Path("/run/lock"), Path("/var/lock"), Path("/tmp"))  # noqa: S108 the lock is the point
NAME = "sipa-rapl.lock"


def default_path() -> Path:
    """The node's lock file: in the first of the system's lock folders that this user can write to."""
    for folder in _CANDIDATES:
        if os.access(folder / NAME, os.W_OK) or (not (folder / NAME).exists() and os.access(folder, os.W_OK | os.X_OK)):
            return folder / NAME
    raise HostError(
        f"none of {', '.join(str(folder / NAME) for folder in _CANDIDATES)} can be opened for writing, so trials of "
        f"two users could overlap. Cure: sudo chmod 0666 {_CANDIDATES[0] / NAME}"
    )


@contextmanager
def exclusive(
    path: Path, *, waiting: Callable[[str], None], give_up: Callable[[], bool], poll_s: float = 0.2
) -> Iterator[int]:
    """Hold the node's lock; yields the descriptor for the trial's process to inherit.

    Args:
        path: the lock file.
        waiting: called once, with who holds the lock, if it is not free at once.
        give_up: asked at every poll; True stops waiting.
        poll_s: seconds between two tries.

    Raises:
        HostError: the file cannot be opened, or waiting was given up.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise HostError(f"{path}: cannot be opened: {error.strerror}. Cure: sudo chmod 0666 {path}") from error
    try:
        _acquire(descriptor, path, waiting=waiting, give_up=give_up, poll_s=poll_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(
    descriptor: int, path: Path, *, waiting: Callable[[str], None], give_up: Callable[[], bool], poll_s: float
) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if give_up():
                raise HostError(f"{path}: another measurement on this node holds the lock") from None
        else:
            return
        if not told:
            waiting(f"another measurement (process {os.pread(descriptor, 32, 0).decode().strip() or '?'}) runs here")
            told = True
        time.sleep(poll_s)
