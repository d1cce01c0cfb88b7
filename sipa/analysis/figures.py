"""Figures as matplotlib `Figure` objects: every repetition a point, the mean a hollow marker, its interval a bar.

The object interface only: nothing is registered with pyplot, so notebooks, threads and tests do not meet each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipa.analysis import style
from sipa.analysis.charts import Chart, Withheld, choose
from sipa.analysis.clouds import Cloud, clouds
from sipa.analysis.drawing import drawn, sized
from sipa.analysis.stats import Levels, SweepSummary, summarize

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure and what must be said with it.

    Attributes:
        caption: n, what points and bars are, what is cut.
    """

    chart: Chart
    figure: "Figure"
    caption: str


def figures(
    trials: "pd.DataFrame", *, levels: Levels | None = None, confidence: float = 0.95, with_invalid: bool = False
) -> tuple[tuple[Drawn, ...], tuple[Withheld, ...]]:
    """Every figure that the rows can carry, and those withheld with the reason.

    Args:
        trials: rows as `sipa.load` gives them.
        levels: the spec's factors and the order of their levels; found from the rows if not given.
        confidence: of the bars.
        with_invalid: average rows that are not valid too.

    Raises:
        ResultsError: see `sipa.analysis.stats.check`.
    """
    summary = summarize(trials, levels=levels, confidence=confidence, with_invalid=with_invalid)
    charts, withheld = choose(trials, summary, levels)
    return tuple(draw(chart, trials, summary) for chart in charts), withheld


def draw(chart: Chart, trials: "pd.DataFrame", summary: SweepSummary) -> Drawn:
    """Draw one chart."""
    found = clouds(chart, trials, summary)
    figure, cut = drawn(chart, found)
    return Drawn(chart=chart, figure=figure, caption=_caption(chart, found, summary, cut))


def _caption(chart: Chart, found: Sequence[Cloud], summary: SweepSummary, cut: int) -> str:
    points = sum(len(each.points) for each in found)
    bad = sum(1 for each in found for *_, ok in each.points if not ok)
    counts = sorted({each.y.n for each in found if each.y.n})
    per = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}" if counts else "0"
    said = [f"{points} trials, n = {per} a treatment. Small filled points: every repetition; hollow markers: means."]
    if any(each.y.n > 1 for each in found):
        said.append(f"Bars: {summary.confidence:.0%} confidence interval of the mean (Student’s t).")
    else:
        said.append("No bars: one repetition has no interval.")
    if cut:
        said.append(f"{cut} of the bars run past the frame: so few repetitions say little about a mean.")
    if bad:
        said.append(f"Crosses: {bad} rows that are not valid and not averaged.")
    if sized(chart):
        said.append(f"Lines join {chart.along} = {_listed(chart)}; a larger marker is a larger {chart.along}.")
    if chart.blurred:
        said.append(f"Not told apart here: {', '.join(chart.blurred)}.")
    if chart.estimated:
        said.append("The energy is an estimate of the model meter: watts from utilisation, times time.")
    return " ".join(said)


def _listed(chart: Chart) -> str:
    levels = [style.plain(level, 18).replace(r"\$", "$") for level in chart.along_levels]
    return ", ".join(levels if len(levels) <= 6 else (*levels[:3], "…", levels[-1]))
