"""What one treatment puts into a figure: every repetition as a point, and their mean. No drawing here.

Repetitions of one level stand side by side, not on top of each other; the mean stays at the level itself.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipa.analysis.charts import Axis, Chart
from sipa.analysis.intervals import Estimate, mean_interval
from sipa.analysis.stats import SweepSummary, as_value, by_treatment
from sipa.workloads import Value

if TYPE_CHECKING:
    import pandas as pd

LOG_FROM = 10.0
"""A range of values beyond this ratio is drawn on a logarithmic axis; levels of a factor from 8."""

Point = tuple[float, float, bool]
"""x, y, and whether the row is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One treatment in one figure, in the units of its axes.

    Attributes:
        series: place of its level among the chart's names; 0 without a series.
        along: place of its level along which means are joined; None without one.
        line: treatments with the same line are joined.
        points: one a row.
        x: mean and interval; n = 0 where there is none.
        y: mean and interval.
    """

    series: int
    along: int | None
    line: tuple[Value | None, ...]
    points: tuple[Point, ...]
    x: Estimate
    y: Estimate


def clouds(chart: Chart, trials: "pd.DataFrame", summary: SweepSummary) -> tuple[Cloud, ...]:
    """The treatments of a chart that have at least one point."""
    found = (_cloud(chart, rows, summary) for _, rows in by_treatment(trials))
    return tuple(sorted((each for each in found if each.points), key=lambda each: (each.series, each.along or 0)))


def is_log(axis: Axis, values: Iterable[float]) -> bool:
    """Whether an axis with these values is logarithmic."""
    numbers = list(values)
    if axis.text or not numbers or min(numbers) <= 0:
        return False
    return max(numbers) / min(numbers) >= (8.0 if axis.levels else LOG_FROM)


def reach(points: Sequence[float], intervals: Sequence[Estimate], *, log: bool, zero: bool) -> tuple[float, float, int]:
    """Where an axis begins and ends, and how many intervals run past that.

    The points decide; an interval may widen the axis by a third of their span. Two repetitions have intervals so wide
    that they would press all points into a corner.

    Args:
        points: values of the points and means, at least one; greater than 0 if `log`.
        intervals: of the means.
        log: whether the axis is logarithmic.
        zero: whether a linear axis begins at 0 when the values come near it.
    """
    onto, back = (math.log10, lambda value: 10**value) if log else (float, float)
    low, high = onto(min(points)), onto(max(points))
    span = (high - low) or (0.3 if log else abs(high) * 0.2 or 1.0)
    most = span / 3 if high > low else span
    ends = [_end(each.low, log=log) for each in intervals], [_end(each.high, log=log) for each in intervals]
    bottom = max(low - most, min((*ends[0], low))) - 0.06 * span
    top = min(high + most, max((*ends[1], high))) + 0.06 * span
    if zero and not log and 0 < low < 0.7 * high:
        bottom, top = 0.0, top + 0.04 * (top - span)
    cut = sum(1 for under, over in zip(*ends, strict=True) if under < bottom or over > top)
    return back(bottom), back(top), cut


def _end(value: float | None, *, log: bool) -> float:
    if value is None:
        return math.nan
    return -math.inf if log and value <= 0 else (math.log10(value) if log else value)


def _cloud(chart: Chart, rows: "pd.DataFrame", summary: SweepSummary) -> Cloud:
    used = rows[rows[chart.x.column].notna() & rows[chart.y.column].notna()]
    first = rows.iloc[0]
    level = {name: as_value(first[name]) for name in summary.factors}
    good = used["valid"].astype(bool) | summary.with_invalid
    xs, ys = _drawn(chart.x, used), _drawn(chart.y, used)
    finite = [(x, y, bool(ok)) for x, y, ok in zip(xs, ys, good, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return Cloud(
        series=_place(level.get(chart.series or ""), chart.names) or 0,
        along=_place(level.get(chart.along or ""), chart.along_levels),
        line=tuple(value for name, value in level.items() if name != chart.along),
        points=tuple(finite),
        x=mean_interval((x for x, _, ok in finite if ok), summary.confidence),
        y=mean_interval((y for _, y, ok in finite if ok), summary.confidence),
    )


def _drawn(axis: Axis, rows: "pd.DataFrame") -> list[float]:
    cells = rows[axis.column].tolist()
    if axis.text:
        return [float(axis.levels.index(level)) for cell in cells if (level := as_value(cell)) is not None]
    return [float(cell) * axis.factor for cell in cells]


def _place(level: Value | None, levels: Sequence[Value]) -> int | None:
    return None if level is None or level not in levels else levels.index(level)
