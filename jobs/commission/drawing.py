"""Shapes that the figures of a commissioning are made of; colours and sizes are those of a sweep's report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobs.commission.distribution import PER_DECADE, Distribution, place_of
from jobs.commission.trace import Points
from sipa.analysis import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE_IN = 9.2
"""Of a figure that takes the page's whole width."""

_FILLED = 2
"""More distributions than this are outlines only."""

_LEAST_SPAN = 4.0
_DASHES = (0, (4, 3))


def panels(*ratios: int, width_in: float = style.WIDTH_IN) -> tuple["Figure", list["Axes"]]:
    """A figure of panels, one above the other, with one axis of time.

    Args:
        ratios: relative height of each.
        width_in: in inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, style.HEIGHT_IN), layout="constrained")
    grid = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios})
    axes: list[Axes] = list(grid[:, 0])
    for each in axes:
        each.grid(color=style.INK, alpha=0.13, linewidth=0.6)
        each.set_axisbelow(True)
    return figure, axes


def steps(axes: "Axes", points: Points, series: int, label: str, **more: Any) -> None:
    """Mean power in each interval, as it was measured: no line between two of them is made up."""
    edges = [0.0, *(end for end, _ in points)]
    watts = [power_w for _, power_w in points]
    axes.stairs(watts, edges, baseline=None, color=style.colour(series), label=label, **more)


def marked(axes: "Axes", position: float, text: str) -> None:
    """A dashed line across, with a word beside it."""
    axes.axvline(position, color=style.INK, linewidth=0.8, linestyle=_DASHES)
    at: Any = {"xycoords": ("data", "axes fraction"), "rotation": 90, "fontsize": 7.5, "ha": "right", "va": "center"}
    axes.annotate(text, (position, 0.4), xytext=(-2, 0), textcoords="offset points", **at)


def histograms(shown: Sequence[tuple[str, Distribution]], label: str, *, scale: float, assumed_s: float | None) -> Any:
    """Outlines of distributions on a logarithmic axis.

    Args:
        shown: name and times of each.
        label: of the axis, with its unit.
        scale: units of the axis in a second.
        assumed_s: marked with a dashed line.
    """
    figure, (axes,) = panels(1)
    lows, highs = [], []
    for series, (name, times) in enumerate(shown):
        counts = {place_of(edge_s * 1e9): count for edge_s, count in times.bins}
        places = range(min(counts), max(counts) + 1)
        edges = [10 ** (place / PER_DECADE) / 1e9 * scale for place in (*places, places.stop)]
        shares = [100 * counts.get(place, 0) / times.n for place in places]
        if len(shown) <= _FILLED:
            axes.stairs(shares, edges, color=style.colour(series), alpha=0.15, fill=True)
        lows.append(edges[0])
        highs.append(edges[-1])
        axes.stairs(shares, edges, color=style.colour(series), label=f"{name}: {times.median_s * scale:.3g}")
    if assumed_s is not None:
        axes.axvline(assumed_s * scale, color=style.INK, linewidth=0.8, linestyle=_DASHES)
    # A distribution of two bins must not look like a broad one.
    room = max(1.2, (_LEAST_SPAN * min(lows) / max(highs)) ** 0.5)
    axes.set(xscale="log", xlabel=label, ylabel="share (%)", ylim=(0, None), xlim=(min(lows) / room, max(highs) * room))
    _plain_log(axes.xaxis)
    axes.legend(title="median", title_fontsize=8.5)
    return figure


def relative(axes: "Axes", lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, least: float) -> None:
    """Deviations in per cent, on an axis that is symmetric about zero.

    Args:
        axes: where.
        lines: name and points of each.
        least: the axis reaches at least so far.
    """
    for series, (name, points) in enumerate(lines):
        xs, ys = zip(*points, strict=True)
        look: Any = {"color": style.colour(series), "marker": style.marker(series), "markersize": 3.5, "linewidth": 0.8}
        axes.plot(xs, ys, label=name, **look)
    reach = 1.3 * max([least, *(abs(y) for _, points in lines for _, y in points)])
    axes.set_ylim(-reach, reach)
    axes.axhline(0, color=style.INK, linewidth=0.6, alpha=0.5)
    axes.legend(loc="upper center", ncols=len(lines))


def _plain_log(axis: Any) -> None:
    """Plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
