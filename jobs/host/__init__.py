"""Governor and turbo, set for as long as a sweep runs and restored on every way out, a crash included.

    with knobs(measurement) as changed: ...

Before a knob is turned its old value stands in a journal and a guardian process waits for this one to end. Sessions
that want the same values share them, and the last one out restores; one that wants others is refused.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.host import journal
from jobs.host.guardian import guarded
from jobs.host.lock import KnobLock, opened
from jobs.host.restoring import heal, left_behind, own_journal, restore_left_behind, restore_session, user
from jobs.host.settings import Setting, describe, differing, write
from sipa.errors import HostError

if TYPE_CHECKING:
    from sipa.spec.model import MeasurementSpec

__all__ = ["Setting", "differing_knobs", "knobs", "left_behind", "restore_left_behind", "user"]

_POLL_S = 0.05


@contextmanager
def knobs(
    measurement: "MeasurementSpec", *, root: Path = Path("/"), patience_s: float = 5.0
) -> Iterator[tuple[Setting, ...]]:
    """Set what the sweep file asks for, where it differs; yields what was changed. What a crash left is healed first.

    Args:
        measurement: its governor and turbo; None leaves a knob alone, and others must leave them alone too.
        root: where `sys` is.
        patience_s: how long to wait for sessions that want other values, or are just restoring theirs.

    Raises:
        HostError: this host cannot be set so, another session holds it otherwise, or it could not be restored.
    """
    with opened(root) as lock:
        if measurement.governor is None and measurement.turbo is None:
            # Nobody else may turn them meanwhile either: the fingerprint says what they were at the start.
            if lock.try_exclusive():
                heal(root)
            lock.share()
            yield ()
        elif _alone(lock, measurement, root, patience_s) and (settings := differing(measurement, root)):
            with _changed(settings, root, lock):
                yield settings
        else:
            lock.share()
            yield ()


def differing_knobs(measurement: "MeasurementSpec", root: Path = Path("/")) -> str | None:
    """Why this host is not as the sweep file asks, with the cure; None if it is. Nothing is changed."""
    try:
        wrong = differing(measurement, root)
    except HostError as error:
        return str(error)
    if not wrong:
        return None
    return (
        f"{describe(wrong)}. Something else turned it since the sweep began: tuned, power-profiles-daemon, thermald, "
        "the firmware, or a person. Cure: stop that (systemctl status tuned power-profiles-daemon thermald), then run "
        "the sweep again"
    )


def _alone(lock: KnobLock, measurement: "MeasurementSpec", root: Path, patience_s: float) -> bool:
    """Hold the lock: exclusively (True), or shared with sessions that want the same (False).

    Raises:
        HostError: other sessions want other values.
    """
    deadline, wrong = time.monotonic() + patience_s, "governor and turbo are just being set or restored"
    while True:
        if lock.try_exclusive():
            heal(root)
            return True
        if lock.try_shared():
            if not (found := differing(measurement, root)):
                return False
            lock.release()
            wrong = describe(found)
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    pid = user(root)
    raise HostError(
        f"{wrong}, and another sweep{f' (process {pid})' if pid else ''} that measures so runs on this node. "
        "Cure: wait until it has ended, or ask for the same in both files"
    )


@contextmanager
def _changed(settings: tuple[Setting, ...], root: Path, lock: KnobLock) -> Iterator[None]:
    """Turn the knobs, exclusively; share them; restore them, if nobody shares them any more."""
    session, path = secrets.token_hex(8), own_journal(root)
    journal.write(path, settings, session=session, root=root)
    with ExitStack() as stack:
        try:
            stack.enter_context(guarded(root, session, lock.descriptor))
        except HostError:
            journal.remove(path)
            raise
        stack.callback(_leave, session, root, lock)
        write(settings, root)
        lock.share()
        yield


def _leave(session: str, root: Path, lock: KnobLock) -> None:
    """Restore, if nobody else uses the knobs; else the lock is lost here, and the guardian waits for it."""
    if lock.try_exclusive():
        restore_session(session, root)
        lock.release()
