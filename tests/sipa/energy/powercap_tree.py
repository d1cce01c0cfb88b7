"""Fake powercap trees with the truth beside them, and a feeder that lets them draw power while a test runs.

    tree = PowercapTree(tmp_path, layout=Layout.XEON_6240R)
    tree.advance("pkg0", 12.5)
    EnergyMeter(root=tree.root)

Files hold what the kernel would show: 32-bit counts, converted to microjoules and rounded down. They are written
in place, because a reader that keeps its descriptors must see them change.
"""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

INTEL_NJ = 61035
"""2^-14 J as the kernel rounds it (ESU 14)."""
AMD_NJ = 15258
"""2^-16 J as the kernel rounds it (ESU 16)."""
DRAM_NJ = 15300
PSYS_NJ = 1_000_000_000
"""1 J, fixed for psys from Sapphire Rapids on."""
TOP_COUNT = 0xFFFF_FFFF


@dataclass(frozen=True, kw_only=True)
class FakeZone:
    """One zone: its folder, what its file `name` says, and the counter that it shows."""

    folder: str
    name: str
    id: str
    unit_nj: int = INTEL_NJ
    top_count: int = TOP_COUNT
    max_power_w: int | None = 165
    files: Mapping[str, str | None] = field(default_factory=dict)
    """Files to add, or to leave out (None)."""


def _socket(
    index: int, package: int, name: str = "", id_suffix: str = "", dram_nj: int = DRAM_NJ, **more: object
) -> list[FakeZone]:
    """A server package with its DRAM zone."""
    folder, suffix = f"intel-rapl/intel-rapl:{index}", id_suffix or str(package)
    dram = f"{folder}/intel-rapl:{index}:0"
    return [
        FakeZone(folder=folder, name=name or f"package-{package}", id=f"pkg{suffix}", **more),  # type: ignore[arg-type]
        FakeZone(folder=dram, name="dram", id=f"dram{suffix}", unit_nj=dram_nj, max_power_w=41),
    ]


_6240R = [*_socket(0, 0), *_socket(1, 1)]
_PSYS = FakeZone(folder="intel-rapl/intel-rapl:2", name="psys", id="psys", max_power_w=None)
_MMIO = FakeZone(folder="intel-rapl-mmio/intel-rapl-mmio:0", name="package-0", id="pkg0")
_CLIENT = [
    FakeZone(folder="intel-rapl/intel-rapl:0", name="package-0", id="pkg0", max_power_w=28),
    FakeZone(folder="intel-rapl/intel-rapl:0/intel-rapl:0:0", name="core", id="core0", max_power_w=None),
    FakeZone(folder="intel-rapl/intel-rapl:0/intel-rapl:0:1", name="uncore", id="uncore0", max_power_w=None),
    FakeZone(folder="intel-rapl/intel-rapl:1", name="psys", id="psys", max_power_w=None),
]
_NO_RANGE: Mapping[str, None] = {"max_energy_range_uj": None}


class Layout(StrEnum):
    """The machines that there are."""

    XEON_6240R = "xeon-6240r"
    """Two packages with DRAM: the usual server."""
    WITH_PSYS = "with-psys"
    WITH_MMIO = "with-mmio"
    CASCADE_LAKE_AP = "cascade-lake-ap"
    """Two packages of two dies, a counter each."""
    ZEN_DIES = "zen-dies"
    """A package of two dies that show one counter."""
    CLIENT = "client"
    """One package with core, uncore and psys, no DRAM counter."""
    SWAPPED = "swapped"
    """Zone 0 is package 1."""
    MALFORMED = "malformed"
    """A zone called intel-rapl:a besides."""
    NO_RANGE = "no-range"
    EPYC = "epyc"
    """Two packages at ESU 16, no limits, no DRAM."""
    SAPPHIRE_RAPIDS = "sapphire-rapids"
    """DRAM in the package's unit again, and psys in whole joules."""
    TINY_RANGE = "tiny-range"
    """Counters of 200 J, which any window of a few seconds exceeds."""

    @property
    def zones(self) -> list[FakeZone]:
        """Every zone of the machine."""
        return _ZONES[self]

    @property
    def vendor(self) -> str:
        """As /proc/cpuinfo names it."""
        return "AuthenticAMD" if self in (Layout.EPYC, Layout.ZEN_DIES) else "GenuineIntel"


def _amd(index: int, name: str, id_: str) -> FakeZone:
    return FakeZone(folder=f"intel-rapl/intel-rapl:{index}", name=name, id=id_, unit_nj=AMD_NJ, max_power_w=None)


_ZONES = {
    Layout.XEON_6240R: _6240R,
    Layout.WITH_PSYS: [*_6240R, _PSYS],
    Layout.WITH_MMIO: [*_6240R, _MMIO],
    Layout.CASCADE_LAKE_AP: [
        zone
        for index, (package, die) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)])
        for zone in _socket(index, package, f"package-{package}-die-{die}", f"{package}die{die}")
    ],
    Layout.ZEN_DIES: [_amd(die, f"package-0-die-{die}", "pkg0die0") for die in (0, 1)],
    Layout.CLIENT: _CLIENT,
    Layout.SWAPPED: [*_socket(0, 1), *_socket(1, 0)],
    Layout.MALFORMED: [*_6240R, FakeZone(folder="intel-rapl/intel-rapl:a", name="package-7", id="pkg7")],
    Layout.NO_RANGE: [*_socket(0, 0, files=_NO_RANGE), *_socket(1, 1)],
    Layout.SAPPHIRE_RAPIDS: [
        *_socket(0, 0, dram_nj=INTEL_NJ, max_power_w=350),
        *_socket(1, 1, dram_nj=INTEL_NJ, max_power_w=350),
        FakeZone(folder="intel-rapl/intel-rapl:2", name="psys", id="psys", unit_nj=PSYS_NJ, max_power_w=None),
    ],
    Layout.TINY_RANGE: [
        FakeZone(
            folder=f"intel-rapl/intel-rapl:{package}",
            name=f"package-{package}",
            id=f"pkg{package}",
            unit_nj=1000,
            top_count=200_000_000,
        )
        for package in (0, 1)
    ],
    Layout.EPYC: [_amd(package, f"package-{package}", f"pkg{package}") for package in (0, 1)],
}


class PowercapTree:
    """A machine's powercap and proc files below a folder, which is the `root` to give to a meter."""

    def __init__(self, folder: Path, layout: Layout = Layout.XEON_6240R) -> None:
        self.root = folder
        self._lock = threading.Lock()
        self._zones = {zone.folder: zone for zone in layout.zones}
        self._start = {zone.id: 1_000_000 * (n + 1) for n, zone in enumerate(layout.zones)}
        self._energy_nj = dict.fromkeys(self._start, 0)
        for zone in self._zones.values():
            self._build(zone)
        self._link()
        self._text("proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {layout.vendor}\n")
        self.set_cpu_times(busy=0, idle=1000)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every counter."""
        return tuple(self._energy_nj)

    def path(self, domain: str, name: str = "energy_uj") -> Path:
        """A file of the zone of a counter, to be broken by a test."""
        folder = next(folder for folder, zone in self._zones.items() if zone.id == domain)
        return self.root / "sys/devices/virtual/powercap" / folder / name

    def advance(self, domain: str, joules: float) -> None:
        """Let a counter advance, through as many wraps as it takes."""
        with self._lock:
            self._energy_nj[domain] += round(joules * 1e9)
            self._show(domain)

    def energy_j(self, domain: str) -> float:
        """All energy that a counter was advanced by: the truth."""
        with self._lock:
            return self._energy_nj[domain] / 1e9

    def wraps_after(self, domain: str, joules: float) -> None:
        """Move a counter, before any meter reads it, so that it wraps after that much more energy."""
        with self._lock:
            zone = self._zone_of(domain)
            self._start[domain] = zone.top_count - int(joules * 1e9 + self._energy_nj[domain]) // zone.unit_nj
            self._show(domain)

    def reset(self, domain: str) -> None:
        """Set a counter to 0, as after a suspend or when the driver is loaded again."""
        with self._lock:
            self._start[domain] = -(self._energy_nj[domain] // self._zone_of(domain).unit_nj)
            self._show(domain)

    def show(self, domain: str, content: bytes) -> None:
        """Let the file of a counter hold anything, until the counter advances again."""
        _rewrite(self.path(domain), content)

    def set_cpu_times(self, *, busy: int, idle: int) -> None:
        """Clock ticks since boot in /proc/stat; half of `idle` is waiting for input and output."""
        waiting = idle // 2
        self._text("proc/stat", f"cpu  {busy} 0 0 {idle - waiting} {waiting} 0 0 0 0 0\nintr 0\n")

    def _zone_of(self, domain: str) -> FakeZone:
        return next(zone for zone in self._zones.values() if zone.id == domain)

    def _build(self, zone: FakeZone) -> None:
        files: dict[str, str | None] = {
            "name": zone.name,
            "enabled": "1",
            "max_energy_range_uj": str(zone.top_count * zone.unit_nj // 1000),
            "energy_uj": "",
        }
        if zone.max_power_w is not None:
            files |= {
                "constraint_0_name": "long_term",
                "constraint_0_max_power_uw": f"{zone.max_power_w}000000",
            }
        for name, content in {**files, **zone.files}.items():
            if content is not None:
                self._text(f"sys/devices/virtual/powercap/{zone.folder}/{name}", f"{content}\n")
        self._show(zone.id)

    def _link(self) -> None:
        """The class folder: flat links to the control types and to every zone, nested or not."""
        flat = self.root / "sys/class/powercap"
        flat.mkdir(parents=True)
        for folder in {folder.split("/")[0] for folder in self._zones} | set(self._zones):
            (flat / folder.rsplit("/", 1)[-1]).symlink_to(f"../../devices/virtual/powercap/{folder}")

    def _show(self, domain: str) -> None:
        for folder, zone in self._zones.items():
            if zone.id == domain:
                counts = (self._start[domain] + self._energy_nj[domain] // zone.unit_nj) % (zone.top_count + 1)
                path = self.root / "sys/devices/virtual/powercap" / folder / "energy_uj"
                if path.exists():
                    _rewrite(path, b"%d\n" % (counts * zone.unit_nj // 1000))

    def _text(self, path: str, content: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(content)


class LiveFeeder:
    """Advances counters in a thread while a `with` block runs, at the given power, about 100 times a second.

    The truth is `tree.energy_j`: what a meter finds lies between the truths just outside and just inside its window.
    """

    def __init__(self, tree: PowercapTree, power_w: Mapping[str, float], hz: float = 100.0) -> None:
        self._tree = tree
        self._power_w = dict(power_w)
        self._period_s = 1 / hz
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="powercap-feeder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _feed(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self._period_s):
            now = time.monotonic()
            for domain, power_w in self._power_w.items():
                self._tree.advance(domain, power_w * (now - last))
            last = now


def _rewrite(path: Path, content: bytes) -> None:
    """New content in the same file, at no moment empty: readers stop at the first newline."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)
