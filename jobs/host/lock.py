"""Who uses the knobs of this host: shared by all sessions that want the same values, exclusive while one turns them.

It is an `flock`, which the kernel drops with the last process that has the descriptor. The guardian has it too, so a
session that was killed keeps the knobs until they are restored.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from jobs.lock import FOLDERS
from sipa.errors import HostError

NAME = "sipa-knobs.lock"


class KnobLock:
    """The lock, opened.

    Attributes:
        descriptor: for the guardian to inherit.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def try_exclusive(self) -> bool:
        """Be the only user, if nobody else is one. A shared lock that was held is lost where this fails."""
        return self._lock(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Be a user, if nobody turns the knobs just now."""
        return self._lock(fcntl.LOCK_SH)

    def share(self) -> None:
        """Be one user of several, after being the only one; waits while somebody turns the knobs."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go, for the guardian too."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _lock(self, kind: int) -> bool:
        try:
            fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def folder_of(root: Path, folders: Sequence[Path] = FOLDERS) -> Path:
    """Where lock and journals are: below a root that is not `/`, or in a folder of the system for locks.

    That is the one where a lock is, else the first that this user may write to, else the first.
    """
    if root != Path("/"):
        return root / FOLDERS[0].relative_to("/")
    there = [folder for folder in folders if (folder / NAME).exists()]
    writable = [folder for folder in folders if os.access(folder, os.W_OK | os.X_OK)]
    return next(iter((*there, *writable, *folders)))


@contextmanager
def opened(root: Path) -> Iterator[KnobLock]:
    """The lock of a host, not yet held.

    Raises:
        HostError: it cannot be opened.
    """
    path = folder_of(root) / NAME
    try:
        descriptor = _open(path)
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}. Cure: sudo rm -f {path} && sudo touch {path}") from error
    try:
        yield KnobLock(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Reading is enough for flock(2), so that the file of another user does as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
