"""Fake `power` PMUs, with a truth where there is no hardware.

`PerfTree` writes the files of a PMU. With `type="1"` they name the kernel's software PMU, where event 0 is cpu-clock:
nanoseconds of each CPU. At a scale of 1e-9 that is one "joule" a second and CPU, so the real system call is made and
the truth is known without any hardware: 1 W.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from sipa.energy.perf_event import perf_event_open
from sipa.errors import MeterError

SOFTWARE = 1
CPU_CLOCK = 0
DUMMY = 9
"""A software event that never counts anything."""

KERNEL_SCALE = "2.3283064365386962890625e-10"
"""2^-32, as arch/x86/events/rapl.c writes it."""

SERVER = {"energy-pkg": "event=0x02", "energy-ram": "event=0x03"}


class PerfTree:
    """The PMU's files below a folder, which may hold a powercap tree as well.

    Args:
        root: the folder.
        places: package and die of each CPU in the mask.
        events: what the file of each event says.
        pmu_type: number of the PMU; the default is one that no kernel has.
        scale: of every event.
    """

    def __init__(
        self,
        root: Path,
        *,
        places: Mapping[int, tuple[int, int]] | None = None,
        events: Mapping[str, str] = SERVER,
        pmu_type: str = "99999",
        scale: str = KERNEL_SCALE,
    ) -> None:
        self.root = root
        self.folder = root / "sys/bus/event_source/devices/power"
        places = {0: (0, 0), 24: (1, 0)} if places is None else places
        self.write("type", pmu_type)
        self.write("cpumask", ",".join(map(str, places)))
        self.write("format/event", "config:0-7")
        for name, text in events.items():
            self.write(f"events/{name}", text)
            self.write(f"events/{name}.scale", scale)
            self.write(f"events/{name}.unit", "Joules")
        for cpu, (package, die) in places.items():
            topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
            topology.mkdir(parents=True, exist_ok=True)
            (topology / "physical_package_id").write_text(f"{package}\n")
            (topology / "die_id").write_text(f"{die}\n")
        paranoid = root / "proc/sys/kernel/perf_event_paranoid"
        paranoid.parent.mkdir(parents=True, exist_ok=True)
        paranoid.write_text("2\n")

    def write(self, name: str, text: str) -> None:
        """One file of the PMU."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def remove(self, name: str) -> None:
        """Take one file of the PMU away."""
        (self.folder / name).unlink()


def clocks(root: Path, sockets: int = 1, **more: str) -> PerfTree:
    """A PMU that counts 1 W for each package and for its DRAM, by the clocks of real CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    places = {cpus[package % len(cpus)]: (package, 0) for package in range(min(sockets, len(cpus)))}
    events = dict.fromkeys(SERVER, f"event={CPU_CLOCK:#04x}") | more
    return PerfTree(root, places=places, events=events, pmu_type=str(SOFTWARE), scale="1e-9")


def why_not_perf() -> str | None:
    """Why this user cannot count for the whole machine here; None if it can."""
    try:
        os.close(perf_event_open(SOFTWARE, (CPU_CLOCK, 0, 0), 0))
    except (OSError, MeterError) as error:
        return f"perf_event_open refuses to count for the whole machine: {error}"
    return None
