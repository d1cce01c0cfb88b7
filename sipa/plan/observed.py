"""What the planner reads out of earlier rows: finite numbers, how long a trial took, what energy it needed.

A row is any mapping from column names to values; a NaN, which is how pandas spells a null, is no number.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

AnyRow = Mapping[str, Any]

ENERGY_COLUMNS = {
    "energy_pkg_process_j": "CPU packages while the trials' processes run; idle windows and the rest of the "
    "machine are not in it",
    "energy_total_j": "the measured domains inside the inference windows only",
}
"""Where the energy of a trial is read, best first, and what the column does not cover."""


def number(row: AnyRow, name: str) -> float | None:
    """The finite number in a column, or None."""
    value = row.get(name)
    if value is None or isinstance(value, bool | str):
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def trial_seconds(row: AnyRow, idle_s: float) -> float | None:
    """How long a trial kept its node: cool-down, idle window and process; None if the row does not say.

    Args:
        row: with `duration_process_s` or `started_at` and `ended_at`; `duration_idle_s` and `duration_cooldown_s`
            if there are any.
        idle_s: length of the idle window where the row does not have it.
    """
    process = number(row, "duration_process_s")
    if process is None:
        process = _elapsed(row.get("started_at"), row.get("ended_at"))
    if process is None:
        return None
    idle = number(row, "duration_idle_s")
    return process + (idle_s if idle is None else idle) + (number(row, "duration_cooldown_s") or 0.0)


def _elapsed(begin: object, end: object) -> float | None:
    first, last = _moment(begin), _moment(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None


def energy_column(rows: Iterable[AnyRow]) -> str | None:
    """The best column in which any row has a measured energy; one for all, so that sums are of one thing."""
    known = list(rows)
    return next((name for name in ENERGY_COLUMNS if any(number(row, name) is not None for row in known)), None)
