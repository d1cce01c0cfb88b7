"""Which powercap zones a machine has, and which of them stand for energy of their own.

Only a zone's `name` says what it is. Its index is not the socket number, the class folder lists nested zones
once more, `intel-rapl-mmio` repeats the package counter, and on AMD all dies of a package show one counter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sipa.energy.readings import DomainKind

CLASS_FOLDER = "sys/class/powercap"
DEVICE_FOLDER = "sys/devices/virtual/powercap"

_ZONE_FOLDER = re.compile(r"intel-rapl(:\d+)+")
_NAME = re.compile(
    r"package-(?P<package>\d+)(-die-(?P<die>\d+))?|(?P<part>core|uncore|dram)|(?P<psys>psys)(-(?P<socket>\d+))?"
)
_SHORT = {DomainKind.PACKAGE: "pkg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One powercap zone.

    Attributes:
        folder: its real path.
        kind: what it counts.
        package: physical package (socket) number; None where its name and its parent's do not say.
        die: die of a package that has a counter for each, else None.
    """

    folder: Path
    kind: DomainKind
    package: int | None
    die: int | None = None

    @property
    def id(self) -> str:
        """Short name: `pkg0`, `dram1`, `pkg0die1`, `psys`."""
        return domain_id(self.kind, self.package, self.die)


def domain_id(kind: DomainKind, package: int | None, die: int | None = None) -> str:
    """The name of a counter, which is the same by whatever source it is read: `pkg0`, `dram1`, `pkg0die1`, `psys`."""
    socket = "" if package is None else package
    return f"{_SHORT.get(kind, kind)}{socket}{'' if die is None else f'die{die}'}"


def find_zones(root: Path) -> tuple[list[Zone], list[str]]:
    """The RAPL zones below a root, packages first, and what was left out with the reason.

    Args:
        root: where `sys` is.
    """
    zones: list[Zone] = []
    ignored: list[str] = []
    for folder in sorted(set(_rapl_folders(root))):
        zone = _zone(folder)
        if isinstance(zone, Zone):
            zones.append(zone)
        else:
            ignored.append(f"{folder}: {zone}")
    zones.sort(key=lambda zone: (list(DomainKind).index(zone.kind), zone.package or 0, zone.die or 0))
    return _without_mirrors(zones, ignored, root), ignored


def _rapl_folders(root: Path) -> Iterator[Path]:
    """Real paths of everything that looks like a RAPL zone; the same one may come more than once."""
    for base in (root / CLASS_FOLDER, root / DEVICE_FOLDER):
        pending = list(base.glob("intel-rapl*"))
        while pending:
            folder = pending.pop()
            pending += folder.glob("intel-rapl*")
            if ":" in folder.name:
                yield folder.resolve()


def _zone(folder: Path) -> Zone | str:
    """The zone in a folder, or why it is none."""
    if folder.name.startswith("intel-rapl-mmio"):
        return "repeats the package counter of intel-rapl"
    if not _ZONE_FOLDER.fullmatch(folder.name):
        return "is not named like a zone"
    if not folder.exists():
        return "leads nowhere: a container runtime hides it"
    name = _name_of(folder)
    match = _NAME.fullmatch(name)
    return _named(folder, match) if match else f"unknown zone name {name!r}"


def _named(folder: Path, name: re.Match[str]) -> Zone:
    if name["part"]:
        parent = _NAME.fullmatch(_name_of(folder.parent))
        package, die = (parent["package"], parent["die"]) if parent else (None, None)
        return Zone(folder=folder, kind=DomainKind(name["part"]), package=_int(package), die=_int(die))
    if name["psys"]:
        return Zone(folder=folder, kind=DomainKind.PSYS, package=_int(name["socket"]))
    return Zone(folder=folder, kind=DomainKind.PACKAGE, package=_int(name["package"]), die=_int(name["die"]))


def _without_mirrors(zones: list[Zone], ignored: list[str], root: Path) -> list[Zone]:
    """The zones without dies that show another die's counter.

    On AMD and Hygon the package counter belongs to the socket, on Intel to the die (`rapl_pmu_is_pkg_scope`
    in the kernel's arch/x86/events/rapl.c; codecarbon issue 1274). Equal values prove nothing.
    """
    if all(zone.die is None for zone in zones) or not counts_per_package(root):
        return zones
    first: dict[tuple[DomainKind, int | None], Zone] = {}
    for zone in zones:
        twin = first.setdefault((zone.kind, zone.package), zone)
        if twin is not zone:
            ignored.append(f"{zone.folder}: shows the counter of {twin.id} once more (AMD counts per socket)")
    return list(first.values())


def counts_per_package(root: Path) -> bool:
    """Whether the dies of a package share one counter, as on AMD and Hygon.

    Args:
        root: where `proc` is.
    """
    return _vendor(root) in ("AuthenticAMD", "HygonGenuine")


def _vendor(root: Path) -> str | None:
    try:
        with (root / "proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), None)
    except OSError:
        return None


def _name_of(folder: Path) -> str:
    try:
        return (folder / "name").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
