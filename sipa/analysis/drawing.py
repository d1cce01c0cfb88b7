"""Puts clouds of points on matplotlib axes: frame, joined means, intervals, repetitions, legend, watermark.

The points decide what the frame shows; what of the intervals runs past it is counted, so that the caption can say so.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sipa.analysis import style
from sipa.analysis.charts import Axis, Chart
from sipa.analysis.clouds import Cloud, is_log, reach

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WATERMARK = "ESTIMATE"
MODEL_NOTE = "estimated from declared watts (model meter): not measured"
MANY_POINTS = 2000
"""Beyond this the points are a picture inside the vector figure, which would else be too heavy for a page."""

LEGEND_SIGNS = 72
"""Characters that fit side by side into the figure's width."""


def drawn(chart: Chart, found: Sequence[Cloud]) -> tuple["Figure", int]:
    """The figure, and how many intervals run past its frame."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(style.WIDTH_IN, style.HEIGHT_IN), layout="constrained")
        axes = figure.add_subplot()
        cut = _frame(axes, chart, found)
        _lines(axes, chart, found)
        _means(axes, chart, found)
        _points(axes, chart, found)
        _legend(figure, chart, found)
        if chart.estimated:
            _watermark(axes)
    return figure, cut


def sized(chart: Chart) -> bool:
    """Whether the size of a mean's marker says the level along which means are joined."""
    return chart.along is not None and not chart.x.levels


def _frame(axes: "Axes", chart: Chart, found: Sequence[Cloud]) -> int:
    """Limits, scales, labels, grid; returns how many intervals run past the frame."""
    axes.set_xlabel(style.plain(chart.x.label, 60))
    axes.set_ylabel(textwrap.fill(style.plain(chart.y.label, 60), 32))
    axes.grid(color=style.INK, alpha=0.13, linewidth=0.6)
    axes.set_axisbelow(True)
    cut = 0
    for name, axis in (("x", chart.x), ("y", chart.y)):
        place = 0 if name == "x" else 1
        points = [point[place] for cloud in found for point in cloud.points]
        log = is_log(axis, points)
        if axis.levels:
            _factor_axis(axes, axis, points, log=log)
            continue
        estimates = [getattr(cloud, name) for cloud in found if getattr(cloud, name).n > 1]
        low, high, past = reach(points, estimates, log=log, zero=axis.zero and name == "y")
        cut += past
        axes.set(**{f"{name}scale": "log" if log else "linear", f"{name}lim": (low, high)})
        if log:
            _log_ticks(axes.xaxis if name == "x" else axes.yaxis, high / low)
    return cut


def _factor_axis(axes: "Axes", axis: Axis, points: Sequence[float], *, log: bool) -> None:
    """Ticks at the levels that were measured and nowhere else, as long as they are few."""
    if log:
        axes.set_xscale("log", base=2)
    low, high = min(points), max(points)
    margin = 0.35 if axis.text else (high - low) * 0.07 or abs(high) * 0.2 or 1.0
    axes.set_xlim((low / 1.25, high * 1.25) if log else (low - margin, high + margin))
    if axis.text:
        axes.set_xticks(range(len(axis.levels)), [style.plain(level, 18) for level in axis.levels])
        if sum(len(str(level)) for level in axis.levels) > 52:
            axes.tick_params("x", rotation=35)
    elif len(axis.levels) <= 8:
        axes.set_xticks([float(level) for level in axis.levels], [f"{level:g}" for level in axis.levels])
        axes.set_xticks([], minor=True)


def _log_ticks(axis: Any, ratio: float) -> None:
    """Plain numbers, at 1, 2 and 5 where a decade or two are shown, at powers of ten beyond."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if ratio < 2000 else (1.0,), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _lines(axes: "Axes", chart: Chart, found: Sequence[Cloud]) -> None:
    if chart.along is None:
        return
    for line in dict.fromkeys(cloud.line for cloud in found):
        joined = [each for each in found if each.line == line]
        means = [(each.x.mean, each.y.mean) for each in joined if each.x.mean is not None and each.y.mean is not None]
        colour = style.colour(joined[0].series)
        axes.plot([x for x, _ in means], [y for _, y in means], color=colour, alpha=0.45, linewidth=0.9, zorder=2)


def _means(axes: "Axes", chart: Chart, found: Sequence[Cloud]) -> None:
    """One call for each look, not for each treatment: a sweep may have a thousand."""
    for look in dict.fromkeys((each.series, _size(chart, each)) for each in found):
        alike = [each for each in found if (each.series, _size(chart, each)) == look and each.y.mean is not None]
        if not alike:
            continue
        series, size = look
        axes.errorbar(
            [_or_nan(each.x.mean) for each in alike],
            [_or_nan(each.y.mean) for each in alike],
            xerr=None if chart.x.levels else [each.x.half_width or math.nan for each in alike],
            yerr=[each.y.half_width or math.nan for each in alike],
            fmt=style.marker(series),
            markersize=size,
            markerfacecolor="none",
            markeredgewidth=1.1,
            color=style.colour(series),
            elinewidth=0.9,
            capsize=2.2,
            zorder=3,
        )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _points(axes: "Axes", chart: Chart, found: Sequence[Cloud]) -> None:
    raster = sum(len(each.points) for each in found) > MANY_POINTS
    for each in found:
        shifted = _side_by_side(axes, chart, each)
        for valid, shape, size in ((True, style.marker(each.series), 3.0), (False, "x", 4.5)):
            chosen = [(x, y) for (x, y, ok) in shifted if ok is valid]
            if chosen:
                xs, ys = zip(*chosen, strict=True)
                axes.plot(
                    xs,
                    ys,
                    linestyle="none",
                    marker=shape,
                    markersize=size,
                    markeredgewidth=0.0 if valid else 1.1,
                    color=style.colour(each.series),
                    alpha=0.85,
                    rasterized=raster,
                    zorder=4,
                )


def _side_by_side(axes: "Axes", chart: Chart, each: Cloud) -> list[tuple[float, float, bool]]:
    """Repetitions of one level spread over a fiftieth of the axis to each side, so that equal ones are seen."""
    if not chart.x.levels or len(each.points) == 1:
        return list(each.points)
    low, high = axes.get_xlim()
    last = len(each.points) - 1
    spread = [2 * place / last - 1 for place in range(last + 1)]
    if axes.get_xscale() == "log":
        return [(x * (high / low) ** (0.02 * s), y, ok) for s, (x, y, ok) in zip(spread, each.points, strict=True)]
    return [(x + 0.02 * (high - low) * s, y, ok) for s, (x, y, ok) in zip(spread, each.points, strict=True)]


def _size(chart: Chart, each: Cloud) -> float:
    """Size of a mean's marker: where the factor is not on an axis, larger levels have larger markers."""
    if not sized(chart) or each.along is None:
        return 7.0
    return 5.5 + 5.5 * each.along / max(1, len(chart.along_levels) - 1)


def _legend(figure: "Figure", chart: Chart, found: Sequence[Cloud]) -> None:
    from matplotlib.lines import Line2D

    if chart.series is None or chart.series == chart.x.column:
        return
    places = list(dict.fromkeys(cloud.series for cloud in found))
    names = [style.plain(chart.names[place], 24) for place in places]
    handles = [Line2D([], [], linestyle="none", markersize=6.5, markerfacecolor="none", label=name) for name in names]
    for handle, place in zip(handles, places, strict=True):
        handle.set(color=style.colour(place), marker=style.marker(place))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(len(names), LEGEND_SIGNS // (max(map(len, names), default=0) + 5))),
        title=style.plain(chart.series),
        title_fontsize=8.5,
        handletextpad=0.2,
        columnspacing=1.4,
    )


def _watermark(axes: "Axes") -> None:
    axes.text(
        0.5,
        0.52,
        WATERMARK,
        fontsize=40,
        rotation=25,
        alpha=0.1,
        weight="bold",
        zorder=0,
        ha="center",
        va="center",
        transform=axes.transAxes,
    )
    axes.set_title(MODEL_NOTE, fontsize=8.0, style="italic", pad=5.0)
