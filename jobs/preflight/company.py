"""Checks of what else happens on the host: load, people, periodic jobs, daemons, swapping.

People are sought in /proc, not in utmp: its records are binary, and systems without it become common.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.preflight.check import Check, CheckState
from jobs.sysfs import text

_BUSY_LOAD = 0.5
_GETTY = ("agetty", "getty", "login", "mingetty")
_PERIODIC = {
    *("apt", "apt-get", "apt.systemd.dai", "unattended-upgr", "dpkg", "dnf", "dnf-automatic", "yum", "rpm"),
    *("updatedb", "updatedb.mlocat", "updatedb.plocat", "mandb", "logrotate", "fstrim", "fwupdmgr", "debsums"),
}
_FREQUENCY = {"tuned", "power-profiles-", "thermald", "auto-cpufreq", "cpufreqd", "tlp"}
"""Names as the kernel keeps them: 15 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """One process.

    Attributes:
        terminal: whether it has one.
        leader: whether it leads its session, as a login shell does.
    """

    pid: int
    name: str
    uid: int
    session: int
    terminal: bool

    @property
    def leader(self) -> bool:
        return self.pid == self.session


def company_checks(root: Path, cpus: int | None, *, own: Collection[int] | None = None) -> Iterator[Check]:
    """Every check of the group.

    Args:
        root: where `proc` is.
        cpus: how many there are.
        own: user ids that are no company; None: this user's, also under sudo.
    """
    processes = list(_processes(root))
    yield _load(root, cpus)
    yield _people(processes, _own() if own is None else own)
    yield _periodic(root, processes)
    yield _daemons(processes)
    yield _swap(root)


def _check(name: str, state: CheckState, found: str, why: str, cure: str = "", *commands: str) -> Check:
    return Check(name=name, state=state, found=found, why=why, cure=cure, commands=commands, group="quiet")


def _load(root: Path, cpus: int | None) -> Check:
    why = "energy counters count the whole machine: what else runs is in every number"
    try:
        load = float((text(root / "proc/loadavg") or "").split()[0])
    except (ValueError, IndexError):
        return _check("load", CheckState.WARN, "not known", why, "see `top`")
    found = f"{load:.2f} on {cpus or '?'} CPUs in the last minute"
    if load <= _BUSY_LOAD:
        return _check("load", CheckState.OK, found, why)
    return _check("load", CheckState.WARN, found, why, "stop what else runs, then wait a minute:", "top")


def _people(processes: list[_Process], own: Collection[int]) -> Check:
    why = "whoever works here while a sweep runs is in its numbers"
    others = [
        each for each in processes if each.terminal and each.leader and each.uid not in own and each.name not in _GETTY
    ]
    if not others:
        return _check("people", CheckState.OK, "nobody else at a terminal", why)
    said = ", ".join(f"{each.name} ({each.pid}) of user {each.uid}" for each in others)
    return _check("people", CheckState.WARN, said, why, "ask them to stay away while the sweep runs")


def _periodic(root: Path, processes: list[_Process]) -> Check:
    why = "updates and indexing use a core for minutes, and come back every day"
    running = [each for each in processes if each.name in _PERIODIC and not _waits(root, each.pid)]
    if not running:
        return _check("periodic jobs", CheckState.OK, "none runs now", why)
    said = ", ".join(f"{each.name} ({each.pid})" for each in running)
    cure = "wait for it, and keep timers off while the sweep runs:"
    commands = ("systemctl list-timers", "sudo systemctl stop apt-daily.timer apt-daily-upgrade.timer")
    return _check("periodic jobs", CheckState.WARN, f"{said} runs", why, cure, *commands)


def _waits(root: Path, pid: int) -> bool:
    """Ubuntu keeps a sleeping `unattended-upgrade-shutdown --wait-for-signal` all the time."""
    return "--wait-for-signal" in (text(root / f"proc/{pid}/cmdline") or "")


def _daemons(processes: list[_Process]) -> Check:
    why = "it may turn governor, turbo or power limits while a sweep runs; trials then refuse"
    found = sorted({each.name for each in processes if each.name in _FREQUENCY})
    if not found:
        return _check("power daemons", CheckState.OK, "none", why)
    units = " ".join("power-profiles-daemon" if each == "power-profiles-" else each for each in found)
    return _check("power daemons", CheckState.WARN, units, why, "", f"sudo systemctl stop {units}")


def _swap(root: Path) -> Check:
    why = "pages that come back from a disk inside the window are time that is not the workload's"
    rows = [line.split() for line in (text(root / "proc/swaps") or "").splitlines()[1:]]
    used = sum(int(row[3]) for row in rows if len(row) > 3 and row[3].isdigit())
    if used:
        found = f"{used / 2**20:.2g} GiB is swapped out"
        return _check("swap", CheckState.WARN, found, why, "if the memory is large enough:", "sudo swapoff -a")
    return _check("swap", CheckState.OK, "nothing swapped out" if rows else "none", why)


def _processes(root: Path) -> Iterator[_Process]:
    with suppress(OSError), os.scandir(root / "proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (found := _process(Path(entry.path))) is not None:
                yield found


def _process(folder: Path) -> _Process | None:
    """One process; None if it ended meanwhile. Its name, in brackets, may hold anything (proc_pid_stat(5))."""
    name, bracket, rest = (text(folder / "stat") or "").partition("(")[2].rpartition(")")
    fields = rest.split()
    try:
        uid = folder.stat().st_uid
        session, terminal = int(fields[3]), int(fields[4])
    except (OSError, ValueError, IndexError):
        return None
    if not bracket or fields[0] in "ZX":
        return None
    return _Process(pid=int(folder.name), name=name, uid=uid, session=session, terminal=terminal != 0)


def _own() -> frozenset[int]:
    sudo = os.environ.get("SUDO_UID", "")
    return frozenset({os.getuid(), *([int(sudo)] if sudo.isdigit() else [])})
