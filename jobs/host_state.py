"""What changes on a host while a trial runs: temperature, throttling, kills for lack of memory. Read, never written."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.sysfs import number, numbered, packages, text
from sipa.trial import Row

_DRIVERS = ("k10temp", "zenpower", "coretemp")
_THROTTLE, _POWER_LIMIT = "package_throttle_count", "package_power_limit_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """One look at a host; None where a thing cannot be read.

    Attributes:
        temperature_c: hottest CPU package.
        throttle_events: thermal throttling of all packages since boot.
        power_limit_events: times that a package reached its power limit since boot, of all packages.
        oom_kills: processes that the kernel killed for lack of memory since boot.
    """

    temperature_c: float | None
    throttle_events: int | None
    power_limit_events: int | None
    oom_kills: int | None


def read(root: Path) -> HostState:
    """Look at the host below `root`."""
    return HostState(
        temperature_c=temperature_c(root),
        throttle_events=_events(root, _THROTTLE),
        power_limit_events=_events(root, _POWER_LIMIT),
        oom_kills=_oom_kills(root),
    )


def columns(begin: HostState, end: HostState) -> Row:
    """The columns that two looks give, at the begin and the end of the inference window."""
    return {
        "temperature_start_c": begin.temperature_c,
        "temperature_end_c": end.temperature_c,
        "throttle_events": _rise(begin.throttle_events, end.throttle_events),
        "power_limit_events": _rise(begin.power_limit_events, end.power_limit_events),
    }


def temperature_c(root: Path) -> float | None:
    """Temperature of the hottest CPU package below `root` in degrees Celsius; None where it cannot be read."""
    return max(_temperatures(root), default=None)


def _rise(begin: int | None, end: int | None) -> int | None:
    return None if begin is None or end is None else end - begin


def _temperatures(root: Path) -> Iterator[float]:
    """Of every package: Intel's thermal zones, or else the sensors of the processor's driver (AMD has no zones)."""
    found = list(_zones(root))
    yield from found or _sensors(root)


def _sensors(root: Path) -> Iterator[float]:
    """`temp1_input` is Tctl of k10temp and the package of coretemp (Documentation/hwmon)."""
    for folder in numbered(root / "sys/class/hwmon", "hwmon"):
        millidegrees = number(folder / "temp1_input") if text(folder / "name") in _DRIVERS else None
        if millidegrees is not None:
            yield millidegrees / 1000


def _zones(root: Path) -> Iterator[float]:
    for zone in numbered(root / "sys/class/thermal", "thermal_zone"):
        millidegrees = number(zone / "temp") if text(zone / "type") == "x86_pkg_temp" else None
        if millidegrees is not None:
            yield millidegrees / 1000


def _events(root: Path, counter: str) -> int | None:
    """Sum of a counter over all packages (arch/x86/kernel/cpu/mce/therm_throt.c); None where one has none.

    Each CPU of a package shows the package's counter, so one CPU of each is read.
    """
    cpus = [members[0] for members in packages(root).values()]
    found = [number(root / f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/{counter}") for cpu in cpus]
    known = [each for each in found if each is not None]
    return sum(known) if known and len(known) == len(found) else None


def _oom_kills(root: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in (root / "proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None
