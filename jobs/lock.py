"""The lock that keeps one measurement at a time on a node: whoever's sweep, whatever process.

It is an `flock` on a file: the kernel drops it when the last process that inherited the descriptor is gone, so a
killed controller cannot leave it behind and a trial that lives on keeps it.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sipa.errors import HostError

FOLDERS = (Path("/run/lock"), Path("/var/lock"), Path("/tmp"))  # noqa: S108 the lock is the point
NAME = "sipa-rapl.lock"


def default_path(folders: Sequence[Path] = FOLDERS) -> Path:
    """The node's lock file: the one that is there, whoever made it; else in the first folder that may be written to.

    Raises:
        HostError: there is none and none can be made.
    """
    candidates = [folder / NAME for folder in folders]
    for path in candidates:
        if path.exists():
            return path
    for path in candidates:
        if os.access(path.parent, os.W_OK | os.X_OK):
            return path
    raise HostError(
        f"none of {', '.join(map(str, candidates))} can be made, so trials of two users could overlap. "
        f"Cure: sudo touch {candidates[0]}"
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
    descriptor = _open(path)
    try:
        _acquire(descriptor, path, waiting=waiting, give_up=give_up, poll_s=poll_s)
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open the lock file; reading is enough for flock(2), so another user's file does as well.

    O_CREAT is used only where there is no file: in a sticky folder the kernel refuses it on a file of somebody else
    (fs.protected_regular), even to root. What is no plain file is not opened: the folder is writable for everybody, and
    through a planted link root would empty another file.
    """
    for _ in range(10):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise HostError(f"{path}: is no plain file, so it is not our lock. Cure: sudo rm {path}")
        for flags in (os.O_RDWR, os.O_RDONLY):
            with suppress(FileNotFoundError, PermissionError):
                return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            continue
        except OSError as error:
            raise HostError(f"{path}: cannot be made: {error.strerror}. Cure: sudo touch {path}") from error
    raise HostError(f"{path}: cannot be read. Cure: sudo chmod a+r {path}")


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
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            waiting(f"another measurement (process {holder or '?'}) runs here")
            told = True
        time.sleep(poll_s)
