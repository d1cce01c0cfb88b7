"""Putting the knobs back as they were, from the journal: by the session, by its guardian, or by whoever comes next.

A knob that by now says neither what it said before nor what the session set was turned by somebody else, and stays.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.host import journal
from jobs.host.journal import EVERYBODY, Entry
from jobs.host.lock import NAME, folder_of, opened
from jobs.host.settings import Setting, place, write
from sipa.errors import HostError


def own_journal(root: Path) -> Path:
    """Where this user's journal is."""
    return journal.path_of(folder_of(root), os.geteuid())


def restore_session(session: str, root: Path, *, wait: Callable[[], object] = lambda: None) -> tuple[Setting, ...]:
    """Restore what one session changed, unless that is done already.

    Args:
        session: whose entries.
        root: where the knobs are.
        wait: waits until nobody else uses them; called only if there is something to restore.

    Raises:
        HostError: a knob cannot be turned back; the journal stays.
    """
    path = own_journal(root)
    if not _of(session, path):
        return ()
    wait()
    # Meanwhile somebody else may have restored them, and the journal may be that of the next session.
    entries = _of(session, path)
    return _settle(path, entries, root) if entries else ()


def restore_left_behind(root: Path = Path("/")) -> tuple[Setting, ...]:
    """Restore what sessions of this user, or of root, changed and could not restore; with their guardians killed too.

    Returns:
        What was turned back. Nothing is done while a session uses the knobs.

    Raises:
        HostError: a knob cannot be turned back; the journal stays.
    """
    if not any(map(os.path.lexists, _journals(root))):
        return ()
    with opened(root) as lock:
        return heal(root) if lock.try_exclusive() else ()


def heal(root: Path) -> tuple[Setting, ...]:
    """As `restore_left_behind`, for who holds the lock exclusively."""
    restored: list[Setting] = []
    for path in _journals(root):
        if (entries := journal.read(path, _owners())) is not None:
            restored += _settle(path, entries, root)
    return tuple(restored)


def left_behind(root: Path = Path("/")) -> tuple[Setting, ...]:
    """What `restore_left_behind` would turn back, if no session uses the knobs; nothing is changed."""
    return tuple(back for path in _journals(root) for back in _to_restore(journal.read(path, _owners()) or (), root))


def user(root: Path = Path("/")) -> int | None:
    """Process of a session that uses the knobs; 0 if it cannot be told; None if there is none."""
    if not (folder_of(root) / NAME).exists():
        return None
    with opened(root) as lock:
        if lock.try_exclusive():
            return None
    found = [each for path in folder_of(root).glob(EVERYBODY) for each in journal.read(path, (_owner(path),)) or ()]
    boot = journal.boot_id(root)
    return max((each.pid for each in found if each.boot_id == boot and Path(f"/proc/{each.pid}").exists()), default=0)


def _journals(root: Path) -> list[Path]:
    folder = folder_of(root)
    return [journal.path_of(folder, uid) for uid in _owners()]


def _owners() -> tuple[int, ...]:
    return tuple({os.geteuid(), 0})


def _owner(path: Path) -> int:
    try:
        return path.lstat().st_uid
    except OSError:
        return -1


def _of(session: str, path: Path) -> tuple[Entry, ...]:
    return tuple(each for each in journal.read(path, (os.geteuid(),)) or () if each.session == session)


def _settle(path: Path, entries: Sequence[Entry], root: Path) -> tuple[Setting, ...]:
    """Turn back what a journal names, then remove it."""
    back = _to_restore(entries, root)
    try:
        write(back, root)
    except HostError as error:
        raise HostError(f"the host is not as it was before the sweep: {error}") from error
    journal.remove(path)
    return back


def _to_restore(entries: Sequence[Entry], root: Path) -> tuple[Setting, ...]:
    """The settings that turn back, last one first, what is still as the session set it in this boot."""
    boot = journal.boot_id(root)
    return tuple(
        Setting(path=each.setting.path, old=each.setting.wanted, wanted=each.setting.old)
        for each in reversed(entries)
        if each.boot_id == boot and _is_as_set(place(root, each.setting.path), each.setting.wanted)
    )


def _is_as_set(path: Path, wanted: str) -> bool:
    """Whether a knob still says what the session set; an empty one was being set when the session was killed."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() in (wanted, "")
    except OSError:
        return False
