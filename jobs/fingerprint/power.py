"""The power limits that the processor keeps (RAPL): a limit decides speed and energy of long work."""

from pathlib import Path

from jobs.sysfs import number, text
from sipa.energy.zones import Zone, find_zones

_MOST_CONSTRAINTS = 8


def power_limits(root: Path) -> dict[str, dict[str, dict[str, float | None]]] | None:
    """Zone -> limit -> its power (W) and the time over which it is averaged (s); None where no zone has any."""
    found = {zone.id: limits for zone in find_zones(root)[0] if (limits := _limits(zone))}
    return found or None


def _limits(zone: Zone) -> dict[str, dict[str, float | None]]:
    found = {}
    for index in range(_MOST_CONSTRAINTS):
        constraint = zone.folder / f"constraint_{index}"
        name, limit = text(Path(f"{constraint}_name")), number(Path(f"{constraint}_power_limit_uw"))
        if name is not None and limit is not None:
            window = number(Path(f"{constraint}_time_window_us"))
            found[name] = {"power_w": limit / 1e6, "window_s": None if window is None else window / 1e6}
    return found
