"""Small files of /sys and /proc, each one value: what they say, or None where they say nothing.

A missing file, one without permission and one whose driver answers with an error are alike here: nothing is known.
"""

import re
from pathlib import Path


def text(path: Path) -> str | None:
    """The content without the blanks round it; None if it is empty or cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read().strip() or None
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The content as a decimal integer; None if it is none."""
    found = text(path)
    return int(found) if found is not None and re.fullmatch(r"-?\d{1,20}", found) else None


def numbered(folder: Path, prefix: str) -> list[Path]:
    """The entries `prefix0`, `prefix1`, ... of a folder, by number; none if there is no such folder."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
    numbers = sorted(int(name[len(prefix) :]) for name in names if re.fullmatch(rf"{prefix}\d{{1,6}}", name))
    return [folder / f"{prefix}{each}" for each in numbers]


def packages(root: Path) -> dict[int, list[int]]:
    """Physical package (socket) -> its CPUs, both by number; empty where the topology cannot be read."""
    found: dict[int, list[int]] = {}
    for cpu in numbered(root / "sys/devices/system/cpu", "cpu"):
        package = number(cpu / "topology/physical_package_id")
        if package is not None:
            found.setdefault(package, []).append(int(cpu.name[3:]))
    return dict(sorted(found.items()))
