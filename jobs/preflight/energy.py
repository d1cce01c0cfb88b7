"""Checks of the energy counters: readable, complete, unfiltered, and by whom they may be read."""

import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from jobs import msr
from jobs.preflight.check import Check, CheckState, cured
from sipa.energy import dcmi
from sipa.energy.powercap import ENERGY_GROUP, MODULE_CURE, UDEV_RULE, PowercapSource
from sipa.energy.readings import Domain, DomainKind
from sipa.energy.selection import why_unusable
from sipa.energy.source import MeterKind
from sipa.energy.zones import Zone, find_zones
from sipa.errors import MeterError

RULE_COMMANDS = (
    f"sudo groupadd -f {ENERGY_GROUP}",
    f"sudo usermod -aG {ENERGY_GROUP} $USER",
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-sipa-energy.rules",
    "sudo udevadm control --reload",
    "sudo udevadm trigger --subsystem-match=powercap",
)
"""They make `energy_uj` readable for one group, now and at every boot."""

_LEAST_WRAP_S = 20.0
_COUNTED = (DomainKind.PACKAGE, DomainKind.DRAM)


def energy_checks(root: Path, facts: Mapping[str, Any]) -> Iterator[Check]:
    """Every check of the group."""
    virtual = bool(facts["hypervisor"])
    zones = [zone for zone in find_zones(root)[0] if zone.kind in _COUNTED]
    yield _counters(root, zones, virtual=virtual)
    if zones:
        yield _sockets(zones, facts["sockets"])
        yield from _ranges(root)
    yield _perf(root, virtual=virtual)
    yield _bmc(root, virtual=virtual)
    yield _filter(root, virtual=virtual)


def _check(name: str, state: CheckState, found: str, why: str, cure: str = "", *commands: str) -> Check:
    return Check(name=name, state=state, found=found, why=why, cure=cure, commands=commands, group="energy")


def _counters(root: Path, zones: list[Zone], *, virtual: bool) -> Check:
    """Whether powercap's counters can be read, and by nobody but those who measure."""
    name = "counters"
    why = "without them measured energy is refused; a sweep that names the 'model' meter runs, on estimates"
    if not any(zone.kind is DomainKind.PACKAGE for zone in zones):
        found = f"no RAPL package zone below {root / 'sys/class/powercap'}"
        if virtual:
            cure = "a virtual machine has none: measure on bare metal, or name 'model' in measurement.meter"
            return _check(name, CheckState.FAIL, found, why, cure)
        persist = "echo intel_rapl_msr | sudo tee /etc/modules-load.d/sipa-energy.conf"
        return _check(name, CheckState.FAIL, found, why, "", MODULE_CURE, persist)
    if any(_denied(zone) for zone in zones):
        found = "energy_uj is readable by root only, as Linux leaves it since PLATYPUS (CVE-2020-8694)"
        cure = "give it to one group, never to everybody, then log in again:"
        return _check(name, CheckState.FAIL, found, why, cure, *RULE_COMMANDS)
    if reason := why_unusable(MeterKind.POWERCAP, root):
        found, cure, commands = cured(reason)
        return _check(name, CheckState.FAIL, found, why, cure, *commands)
    if any(_public(zone) for zone in zones):
        return _check(
            name,
            CheckState.WARN,
            "readable, but by every user of this machine",
            "who watches energy_uj can recover secret keys of other processes (PLATYPUS, CVE-2020-8694)",
            "leave it to one group, then log in again:",
            "sudo chmod o-r /sys/class/powercap/intel-rapl:*/energy_uj",
            *RULE_COMMANDS,
        )
    return _check(name, CheckState.OK, "powercap, readable", why)


def _denied(zone: Zone) -> bool:
    try:
        with (zone.folder / "energy_uj").open("rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def _public(zone: Zone) -> bool:
    try:
        return bool((zone.folder / "energy_uj").stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _sockets(zones: list[Zone], sockets: int | None) -> Check:
    """Whether every socket has a package counter, and one for DRAM."""
    packages, drams = ({zone.package for zone in zones if zone.kind is kind} for kind in _COUNTED)
    of = "" if sockets is None else f" of {sockets}"
    found = f"package counters of {len(packages)}{of}, DRAM counters of {len(drams)}"
    name, why = "sockets", "a socket without a counter would be missing in every number, and nothing else would show it"
    if sockets is not None and len(packages) < sockets:
        again = (f"{MODULE_CURE.replace('modprobe', 'modprobe -r')}", MODULE_CURE, "sudo dmesg | grep -i rapl")
        return _check(name, CheckState.FAIL, found, why, "load the driver again, and see what it says:", *again)
    if len(drams) < len(packages):
        why = "energy_total_j is then the packages alone, and energy_domains says so"
        cure = "nothing helps where the processor has no such counter; compare such nodes by energy_pkg_j only"
        return _check(name, CheckState.WARN, found, why, cure)
    return _check(name, CheckState.OK, found, why)


def _ranges(root: Path) -> Iterator[Check]:
    """Whether counters wrap no faster than they can be read."""
    try:
        with closing(PowercapSource(root)) as source:
            fastest = min(map(_wrap_s, source.domains))
    except MeterError:
        return
    why = "a counter starts again at its range; one that does so faster than it is read loses whole turns"
    found = f"the fastest needs at least {fastest / 60:.1f} min to wrap"
    if fastest >= _LEAST_WRAP_S:
        yield _check("counter range", CheckState.OK, found, why)
        return
    cure = "this is no counter that Linux knows: report the machine, and do not measure on it"
    yield _check("counter range", CheckState.FAIL, f"the fastest wraps within {fastest:.3g} s", why, cure)


def _wrap_s(domain: Domain) -> float:
    return domain.range_uj / 1e6 / domain.max_power_w


def _perf(root: Path, *, virtual: bool) -> Check:
    reason = why_unusable(MeterKind.PERF, root)
    why = "the same registers by another way: a check of the arithmetic, and needed for meter = ['perf']"
    if reason is None:
        return _check("perf_event", CheckState.OK, "usable", why)
    if virtual:
        return _check("perf_event", CheckState.INFO, "none: a virtual machine", why)
    found, cure, commands = cured(reason)
    return _check("perf_event", CheckState.WARN, found, why, cure, *commands)


def _bmc(root: Path, *, virtual: bool) -> Check:
    """Whether the board's management controller tells the whole node's power."""
    why = "the only second sensor of such a node: RAPL must stay below the power of the whole node"
    try:
        reading = dcmi.find(root).read()
    except MeterError as error:
        if virtual:
            return _check("node power", CheckState.INFO, "none: a virtual machine", why)
        found, cure, commands = cured(str(error))
        return _check("node power", CheckState.WARN, found, why, cure, *commands)
    if reading.power_w is None:
        return _check("node power", CheckState.WARN, reading.reason or "no reading", why, "ask again in a minute")
    inlet = "" if reading.inlet_c is None else f", inlet {reading.inlet_c:g} °C"
    return _check("node power", CheckState.OK, f"{reading.power_w} W by DCMI{inlet}", why)


def _filter(root: Path, *, virtual: bool) -> Check:
    """Whether the processor adds noise to its counters."""
    name, why = "energy filter", "filtered counters are noised on purpose (INTEL-SA-00389) and may be far off"
    on = msr.energy_filter(root)
    if on:
        cure = "switch it off in the BIOS, with SGX, and reboot: once set it stays until the next reset"
        return _check(name, CheckState.FAIL, "on", why, cure)
    if on is False:
        return _check(name, CheckState.OK, "off", why)
    if virtual:
        return _check(name, CheckState.INFO, "not known: a virtual machine", why)
    found = "not known: register 0xBC cannot be read"
    as_root = 'sudo "$(command -v sipa-cluster)" doctor --node'
    if not msr.path(root, 0).exists():
        return _check(name, CheckState.WARN, found, why, "", "sudo modprobe msr", as_root)
    return _check(name, CheckState.WARN, found, why, "only root may, and older processors have none:", as_root)
