"""What was changed on this host, written down before it is changed, so that somebody can put it back.

The folder is writable for everybody. So a journal is made where nothing is, read only if it is a plain file of this
user or of root that nobody else may write, and only what it says about knobs is believed.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.host.settings import Setting
from jobs.sysfs import text
from sipa.errors import HostError
from sipa.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One knob that a session was about to turn.

    Attributes:
        session: who turned it.
        pid: its process.
        boot_id: the boot in which that was; another boot has set everything anew.
    """

    setting: Setting
    session: str
    pid: int
    boot_id: str


EVERYBODY = "sipa-knobs.*.jsonl"
"""The journals of all users."""


def path_of(folder: Path, uid: int) -> Path:
    """The journal of a user."""
    return folder / f"sipa-knobs.{uid}.jsonl"


def boot_id(root: Path) -> str:
    """The kernel's boot id; "unknown" where it cannot be read."""
    return text(root / "proc/sys/kernel/random/boot_id") or "unknown"


def write(path: Path, settings: Sequence[Setting], *, session: str, root: Path) -> None:
    """Write down what is about to be changed, durably.

    Raises:
        HostError: there is a file of that name, or none can be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise HostError(
            f"{path}: is not ours, but has the name of our journal. What it says is not believed. Cure: sudo rm {path}"
        ) from None
    except OSError as error:
        cure = f"run as root, or: sudo chmod 1777 {path.parent}"
        raise HostError(f"{path}: cannot be made: {error.strerror}. Cure: {cure}") from error
    try:
        with Journal(_same_file(descriptor)) as journal:
            for each in settings:
                journal.append(
                    {
                        "path": each.path,
                        "old": each.old,
                        "wanted": each.wanted,
                        "session": session,
                        "pid": os.getpid(),
                        "boot_id": boot_id(root),
                    }
                )
    finally:
        os.close(descriptor)


def read(path: Path, owners: Sequence[int]) -> tuple[Entry, ...] | None:
    """The knobs that a journal names; None if there is no plain file of one of these users, writable by it alone."""
    with _opened(path) as descriptor:
        if descriptor is None:
            return None
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o022:
            return None
        with Journal(_same_file(descriptor)) as journal:
            return tuple(entry for record in journal.replay() if (entry := _entry(record)) is not None)


def remove(path: Path) -> None:
    """Remove a journal whose knobs are restored; in a sticky folder only its owner and root can."""
    with suppress(OSError):
        path.unlink()


def _entry(record: dict[str, object]) -> Entry | None:
    match record:
        case {
            "path": str(path),
            "old": str(old),
            "wanted": str(wanted),
            "session": str(session),
            "pid": int(pid),
            "boot_id": str(boot),
        }:
            setting = Setting(path=path, old=old, wanted=wanted)
            return Entry(setting=setting, session=session, pid=pid, boot_id=boot) if setting.allowed else None
        case _:
            return None


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """The file, if it is there and no link; O_NONBLOCK because a planted pipe would make the opening wait."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _same_file(descriptor: int) -> Path:
    """A path that leads to the file that was opened and checked, whatever its name leads to by now."""
    return Path(f"/proc/self/fd/{descriptor}")
