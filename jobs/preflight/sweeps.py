"""Checks of what sweeps need and leave behind: the node's lock, the knobs, room for results, a commissioning."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from jobs.commission.registry import find, latest_id
from jobs.environment import node_uid
from jobs.host import left_behind, user
from jobs.host.settings import Setting
from jobs.lock import default_path
from jobs.preflight.check import Check, CheckState, cured
from jobs.sysfs import text
from sipa.errors import HostError

_FREE_BYTES = 2**30


def sweep_checks(root: Path, results: Path, lock: Path | None) -> Iterator[Check]:
    """Every check of the group.

    Args:
        root: where the host's files are.
        results: where results would be written.
        lock: the node's lock file; None: the system's.
    """
    yield _lock(lock)
    yield _knobs(root)
    yield _room(results)
    yield _commissioning(root)


def _check(name: str, state: CheckState, found: str, why: str, cure: str = "", *commands: str) -> Check:
    return Check(name=name, state=state, found=found, why=why, cure=cure, commands=commands, group="sweeps")


def _lock(lock: Path | None) -> Check:
    why = "one measurement at a time: a second one waits for the first"
    try:
        path = lock or default_path()
        holder = _holder(path)
    except HostError as error:
        found, cure, commands = cured(str(error))
        return _check("node's lock", CheckState.WARN, found, why, cure, *commands)
    if holder is None:
        return _check("node's lock", CheckState.OK, "free", why)
    return _check("node's lock", CheckState.WARN, f"held by {holder}", why, "wait for it, or end it with Ctrl-C there")


def _holder(path: Path) -> str | None:
    """Who holds the lock; None if it is free. It is tried for a moment, shared, which disturbs nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        name = text(Path(f"/proc/{pid}/comm")) if pid.isdigit() else None
        return f"process {pid or '?'}" + (f" ({name})" if name else ", which has ended: a trial of it runs on")
    finally:
        os.close(descriptor)
    return None


def _knobs(root: Path) -> Check:
    name, why = "knobs", "governor and turbo that a killed sweep set would be those of everything that runs here later"
    try:
        pid, left = user(root), left_behind(root)
    except HostError as error:
        found, cure, commands = cured(str(error))
        return _check(name, CheckState.WARN, found, why, cure, *commands)
    if pid is not None:
        return _check(name, CheckState.INFO, f"used by a sweep that runs{f' (process {pid})' if pid else ''}", why)
    if not left:
        return _check(name, CheckState.OK, "nothing left behind by a sweep", why)
    said, cure = f"a sweep that was killed left {_settings(left)}", "put back what was there before:"
    return _check(name, CheckState.WARN, said, why, cure, "sipa-cluster doctor --node --restore")


def _settings(left: tuple[Setting, ...]) -> str:
    """`scaling_governor = performance (4 files, before: powersave)`."""
    groups: dict[tuple[str, str, str], int] = {}
    for each in left:
        key = (Path(each.path).name, each.old, each.wanted)
        groups[key] = groups.get(key, 0) + 1
    said = (
        f"{name} = {now} ({count} file{'s' if count > 1 else ''}, before: {before})"
        for (name, now, before), count in groups.items()
    )
    return " and ".join(said)


def _room(results: Path) -> Check:
    why = "a trial whose row cannot be written is lost"
    place = next(each for each in (results.absolute(), *results.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        found, cure = f"this user may not write at {place}", "choose another place with --results"
        return _check("room for results", CheckState.WARN, found, why, cure)
    found = f"{free / 2**30:.1f} GiB free at {place}"
    if free >= _FREE_BYTES:
        return _check("room for results", CheckState.OK, found, why)
    cure = "free some space, or choose another place with --results"
    return _check("room for results", CheckState.WARN, found, why, cure)


def _commissioning(root: Path) -> Check:
    why = "it is the evidence that this node's counters are to be trusted; its id stands in every row"
    number = latest_id(node_uid(root), root)
    kept = find(number, root) if number is not None else None
    if kept is None:
        cure = "once for each node, about an hour (--quick shortens it):"
        return _check("commissioning", CheckState.WARN, "none", why, cure, "sipa-cluster commission")
    verdict = kept.content.get("verdict")
    found = f"{kept.commission_id}, verdict {verdict}"
    if verdict == "fail":
        cure = f"see {kept.page}, cure what fails, and commission it again:"
        return _check("commissioning", CheckState.WARN, found, why, cure, "sipa-cluster commission")
    if kept.quick:
        return _check("commissioning", CheckState.INFO, f"{found}, a shortened one: weak evidence", why)
    return _check("commissioning", CheckState.OK, found, why)
