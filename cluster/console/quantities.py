"""How single numbers read for people: spans of time, quantities with an SI prefix. Never stored."""

import math

from sipa.analysis.quantities import digits, scale

UNKNOWN = "-"
_STEPS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def duration(seconds: float | None) -> str:
    """A span of time in its two largest units, as "3 min 20 s"; "-" when it is not known."""
    if seconds is None:
        return UNKNOWN
    whole = round(max(0.0, seconds))
    for size, unit, smaller_size, smaller_unit in _STEPS:
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {unit} {rest // smaller_size:02d} {smaller_unit}"
    return f"{whole} s"


def clock(seconds: float) -> str:
    """A span of time for a table that is redrawn, as "0:12" or "1:02:33"."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def quantity(value: float | None, unit: str) -> str:
    """Three significant digits with an SI prefix, as "12.3 ms"; "-" when there is no number."""
    if value is None or math.isnan(value):
        return UNKNOWN
    shown = scale(unit, [value])
    return f"{digits(value * shown.factor, 3)} {shown.unit}".rstrip()
