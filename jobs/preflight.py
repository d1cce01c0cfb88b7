"""Checks of a host before it measures: what was found, why it matters, and the command that cures it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from jobs.environment import fingerprint
from sipa.energy.selection import why_unusable
from sipa.energy.source import MeterKind
from sipa.errors import HostError
from sipa.spec.model import MeasurementSpec

_BUSY_LOAD = 0.5
_FREE_BYTES = 2**30


class CheckState(StrEnum):
    """What a check says."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        found: the state of things.
        why: why it matters.
        cure: what to do; empty when there is nothing to do.
    """

    name: str
    state: CheckState
    found: str
    why: str
    cure: str = ""


def checks(root: Path = Path("/"), *, results: Path = Path()) -> tuple[Check, ...]:
    """Every check of the host below `root`."""
    facts = fingerprint(root)
    return (
        _energy(root),
        _hypervisor(bool(facts["hypervisor"])),
        _governor(facts["governor"]),
        _load(root, facts["cpus"]),
        _disk(results),
    )


def _energy(root: Path) -> Check:
    reason = why_unusable(MeterKind.POWERCAP, root)
    found, _, cure = (reason or "readable").partition(". ")
    return Check(
        name="energy counters",
        state=CheckState.FAIL if reason else CheckState.OK,
        found=found,
        why="without them measured energy is refused; sweeps that name the 'model' meter run, on estimates",
        cure=cure,
    )


def _hypervisor(virtual: bool) -> Check:
    return Check(
        name="bare metal",
        state=CheckState.WARN if virtual else CheckState.OK,
        found="a virtual machine" if virtual else "no hypervisor",
        why="other guests of the same host use the same counters, caches and clocks",
        cure="measure on bare metal; on a virtual machine trust accuracy, not time or energy" if virtual else "",
    )


def _governor(governor: str | None) -> Check:
    steady = governor in {"performance", None}
    return Check(
        name="frequency governor",
        state=CheckState.OK if steady else CheckState.WARN,
        found=governor or "none (the frequency is not governed here)",
        why="another governor changes the frequency with the load, so that short and long trials are not alike",
        cure="" if steady else "sudo cpupower frequency-set -g performance",
    )


def _load(root: Path, cpus: int | None) -> Check:
    try:
        load: float | None = float((root / "proc/loadavg").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        load = None
    quiet = load is not None and load <= _BUSY_LOAD
    return Check(
        name="quiet",
        state=CheckState.OK if quiet else CheckState.WARN,
        found="load unknown" if load is None else f"load {load:.2f} on {cpus} CPUs in the last minute",
        why="energy counters count the whole machine: what else runs is in every number",
        cure="" if quiet else "stop what else runs (top, systemctl list-timers), then wait a minute",
    )


def _disk(results: Path) -> Check:
    place = next(each for each in (results.absolute(), *results.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _FREE_BYTES and os.access(place, os.W_OK)
    return Check(
        name="room for results",
        state=CheckState.OK if enough else CheckState.WARN,
        found=f"{free / 2**30:.1f} GiB free at {place}",
        why="a trial whose row cannot be written is lost",
        cure="" if enough else "free some space, or choose another place with --results",
    )


def verify_host(measurement: MeasurementSpec, environment: Mapping[str, Any]) -> None:
    """Check that the host runs as the spec says; it is not changed.

    Raises:
        HostError: another governor or turbo state than the spec names, with the command that sets it.
    """
    governor, turbo = environment["governor"], environment["turbo"]
    wrong = []
    if measurement.governor not in (None, governor):
        cure = f"sudo cpupower frequency-set -g {measurement.governor}" if governor else "leave the key out"
        wrong.append(
            f"measurement.governor = {measurement.governor!r}, but this host's is {governor or 'not to be read'}. "
            f"Cure: {cure}"
        )
    if measurement.turbo not in (None, turbo):
        pstate, boost = "/sys/devices/system/cpu/intel_pstate/no_turbo", "/sys/devices/system/cpu/cpufreq/boost"
        cure = (
            f"echo {int(not measurement.turbo)} | sudo tee {pstate} (Intel), or "
            f"echo {int(bool(measurement.turbo))} | sudo tee {boost}"
        )
        found = "not to be read" if turbo is None else "on" if turbo else "off"
        wrong.append(
            f"measurement.turbo = {str(measurement.turbo).lower()}, but this host's turbo is {found}. "
            f"Cure: {cure if turbo is not None else 'leave the key out'}"
        )
    if wrong:
        raise HostError("\n".join(wrong))


def refused(found: Sequence[Check]) -> bool:
    """Whether measured energy would be refused on this host."""
    return any(check.state is CheckState.FAIL for check in found)
