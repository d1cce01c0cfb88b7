"""RAPL energy counters through the kernel's powercap files, kept open and read with one `pread` each.

`energy_uj` is readable by root only since PLATYPUS (CVE-2020-8694): the cure is one group that may read it,
never the world, because every process of the machine could then watch secrets through power.
"""

import errno
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from sipa.energy.counter_error import CounterError, by_cause
from sipa.energy.readings import Domain, DomainKind, Reading
from sipa.energy.source import MeterKind
from sipa.energy.zones import CLASS_FOLDER, Zone, find_zones
from sipa.errors import MeterError

ENERGY_GROUP = "sipa-energy"
"""The group that may read the counters."""

UDEV_RULE = (
    f'SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION=="add|change", '
    f'RUN+="/bin/chgrp {ENERGY_GROUP} /sys%p/energy_uj", RUN+="/bin/chmod 0440 /sys%p/energy_uj"'
)
"""The udev rule that gives the counters to that group, at every boot."""

GROUP_CURE = (
    f"sudo groupadd -f {ENERGY_GROUP} && sudo usermod -aG {ENERGY_GROUP} $USER && "
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-sipa-energy.rules && "
    f"sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=powercap; then log in again"
)
"""The commands that make the counters readable for the user."""

MODULE_CURE = "sudo modprobe intel_rapl_msr"
"""The command that makes the counters appear."""

_RELOAD = f"Cure: sudo modprobe -r intel_rapl_msr && {MODULE_CURE}, then open the meter again"

PEAK_FACTOR = 2
"""How far power may exceed the largest declared limit: the kernel takes peak power (PL4) as twice PL2."""

FALLBACK_MAX_POWER_W = {
    DomainKind.PACKAGE: 1000.0,
    DomainKind.DRAM: 400.0,
    DomainKind.CORE: 1000.0,
    DomainKind.UNCORE: 1000.0,
    DomainKind.PSYS: 4000.0,
}
"""Upper bounds where a zone declares no limit, as on AMD: twice the largest parts that are sold."""

_CAUSES = {
    errno.EACCES: f"permission denied: only root may read it (PLATYPUS, CVE-2020-8694). Cure: {GROUP_CURE}",
    errno.ENOENT: f"the zone is gone or incomplete. Cure: {MODULE_CURE}, then open the meter again",
    errno.ENODEV: f"the zone has vanished (driver unloaded?). Cure: {MODULE_CURE}, then open the meter again",
    errno.EIO: "input/output error: the kernel cannot read the register. Cure: see dmesg, then open the meter again",
}


class PowercapSource:
    """The RAPL counters of one machine.

    Args:
        root: where `sys` and `proc` are.
        clock: monotonic nanoseconds.

    Attributes:
        domains: the counters, packages first.
        ignored: zones that are left out, with the reason.

    Raises:
        MeterError: there is no package counter, or one that totals need cannot be opened, read or unwrapped.
    """

    kind = MeterKind.POWERCAP

    def __init__(self, root: Path = Path("/"), clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._files: dict[str, int] = {}
        zones, ignored = find_zones(root)
        if not any(zone.kind is DomainKind.PACKAGE for zone in zones):
            raise MeterError(_no_package(root, ignored))
        domains, problems = self._open_all(zones)
        if needed := [problem for problem in problems if problem.needed]:
            self.close()
            raise MeterError(by_cause(needed))
        self.domains = domains
        self.ignored = (*ignored, *map(str, problems))

    def open(self) -> None:
        """Open the counters again, after `close` or in the child of a fork.

        Raises:
            MeterError: one of them can no longer be opened.
        """
        try:
            for domain in self.domains:
                if domain.id not in self._files:
                    self._open(domain)
        except MeterError:
            self.close()
            raise

    def read(self) -> Reading:
        """Every counter, one `pread` after the other and nothing in between."""
        begin_ns = self._clock()
        raw = [(domain, _pread(self._files.get(domain.id, -1))) for domain in self.domains]
        end_ns = self._clock()
        values: dict[str, int] = {}
        failures: dict[str, str] = {}
        for domain, content in raw:
            value = _value(content)
            if isinstance(value, int):
                values[domain.id] = value
            else:
                failures[domain.id] = f"{domain.path}: {value}"
        return Reading(begin_ns=begin_ns, end_ns=end_ns, values_uj=values, failures=failures)

    def close(self) -> None:
        """Close the counters; closing twice does nothing."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _open_all(self, zones: list[Zone]) -> tuple[tuple[Domain, ...], list[CounterError]]:
        """Open every zone; what is wrong with those that cannot be used."""
        domains: dict[str, Domain] = {}
        problems: list[CounterError] = []
        for zone in zones:
            try:
                domain = _domain(zone)
                if twin := domains.get(domain.id):
                    raise CounterError(domain.path, f"has the same name as {twin.path}. {_RELOAD}", zone.kind)
                self._open(domain)
            except CounterError as problem:
                problems.append(problem)
            else:
                domains[domain.id] = domain
        return tuple(domains.values()), problems

    def _open(self, domain: Domain) -> None:
        """Open one counter and see that it shows a number."""
        try:
            descriptor = os.open(domain.path, os.O_RDONLY)
        except OSError as error:
            raise CounterError(domain.path, _cause(error), domain.kind) from error
        value = _value(_pread(descriptor))
        if isinstance(value, str):
            os.close(descriptor)
            raise CounterError(domain.path, value, domain.kind)
        self._files[domain.id] = descriptor


def _domain(zone: Zone) -> Domain:
    path = zone.folder / "max_energy_range_uj"
    range_uj = _number(path)
    if range_uj is None or range_uj <= 0:
        raise CounterError(str(path), f"shows no range, without which wraps cannot be counted. {_RELOAD}", zone.kind)
    return Domain(
        id=zone.id,
        kind=zone.kind,
        package=zone.package,
        range_uj=range_uj,
        max_power_w=max_power_w(zone),
        path=str(zone.folder / "energy_uj"),
    )


def max_power_w(zone: Zone) -> float:
    """What no reading can exceed: the largest limit that the zone declares, with a margin, or a fallback.

    `max_power_uw` is the power that the part is sold for. Firmware sets the limits that are enforced far above it (a
    15 W part with 25 W and 61 W: linux-surface issue 221), or so high that they are none. Limits stay readable for
    everybody: only the counters themselves are closed.
    """
    sold_for, enforced = _watts(zone, "max_power_uw"), _watts(zone, "power_limit_uw")
    fallback = FALLBACK_MAX_POWER_W[zone.kind]
    if not sold_for:
        return fallback
    return max(PEAK_FACTOR * sold_for, min(PEAK_FACTOR * enforced, fallback))


def _watts(zone: Zone, which: str) -> float:
    """The largest of a zone's limits, 0 where it tells none."""
    found = [_number(path) for path in zone.folder.glob(f"constraint_*_{which}") if not _is_peak(path, which)]
    return max((power_uw for power_uw in found if power_uw), default=0) / 1e6


def _is_peak(constraint: Path, which: str) -> bool:
    """Whether a limit is PL4, for which the kernel has already doubled PL2."""
    name = constraint.with_name(constraint.name.replace(which, "name"))
    try:
        return name.read_text(encoding="ascii").strip() == "peak_power"
    except OSError:
        return False


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if re.fullmatch(r"\d{1,20}", text) else None


def _pread(descriptor: int) -> bytes | OSError:
    """What a counter's file shows; a deleted file, which on a real sysfs is ENODEV, counts as vanished."""
    try:
        content = os.pread(descriptor, 64, 0)
        if os.fstat(descriptor).st_nlink == 0:
            return OSError(errno.ENODEV, "vanished")
    except OSError as error:
        return error
    return content


def _value(content: bytes | OSError) -> int | str:
    """The number, or why there is none."""
    if isinstance(content, OSError):
        return _cause(content)
    digits, newline, _ = content.partition(b"\n")
    if not newline or not digits.isdigit():
        return f"holds {content[:32]!r} instead of a number and a newline: empty or cut off. {_RELOAD}"
    return int(digits)


def _cause(error: OSError) -> str:
    return _CAUSES.get(error.errno or 0, f"{error.strerror or error}. Cure: see dmesg, then open the meter again")


def _no_package(root: Path, ignored: list[str]) -> str:
    folder = root / CLASS_FOLDER
    found = f"holds no RAPL package zone ({'; '.join(ignored)})" if ignored else "holds no RAPL zone"
    return (
        f"{folder}: {found if folder.exists() else 'does not exist'}. On bare metal: {MODULE_CURE}. "
        f"A virtual machine has no such counter, and a container sees it only if /sys is the host's"
    )
