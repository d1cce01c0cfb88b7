"""What changes on a host while a trial runs: temperature, throttling, kills for lack of memory. Read, never written."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sipa.trial import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """One look at a host; None where a thing cannot be read.

    Attributes:
        temperature_c: hottest CPU package.
        throttle_events: thermal throttling of all packages since boot.
        oom_kills: processes that the kernel killed for lack of memory since boot.
    """

    temperature_c: float | None
    throttle_events: int | None
    oom_kills: int | None


def read(root: Path) -> HostState:
    """Look at the host below `root`."""
    temperatures = list(_temperatures(root))
    throttles = list(_throttles(root))
    return HostState(
        temperature_c=max(temperatures) if temperatures else None,
        throttle_events=sum(throttles) if throttles else None,
        oom_kills=_oom_kills(root),
    )


def columns(begin: HostState, end: HostState) -> Row:
    """The columns that two looks give, at the begin and the end of the inference window."""
    known = begin.throttle_events is not None and end.throttle_events is not None
    return {
        "temperature_start_c": begin.temperature_c,
        "throttle_events": (end.throttle_events or 0) - (begin.throttle_events or 0) if known else None,
    }


def _temperatures(root: Path) -> Iterator[float]:
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        with suppress(OSError, ValueError):
            if (zone / "type").read_text().strip() == "x86_pkg_temp":
                yield int((zone / "temp").read_text()) / 1000


def _throttles(root: Path) -> Iterator[int]:
    """One counter a package: each CPU of a package shows the same one, so CPUs are taken by package id."""
    seen: set[str] = set()
    for cpu in sorted(root.glob("sys/devices/system/cpu/cpu[0-9]*")):
        with suppress(OSError, ValueError):
            package = (cpu / "topology/physical_package_id").read_text().strip()
            events = int((cpu / "thermal_throttle/package_throttle_count").read_text())
            if package not in seen:
                seen.add(package)
                yield events


def _oom_kills(root: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in (root / "proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None
