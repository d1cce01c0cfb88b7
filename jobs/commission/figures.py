"""Which figures a commissioning has, and what must be said with each."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.commission import drawing
from jobs.commission import trace as traces
from jobs.commission.record import Commissioning
from jobs.commission.trace import Points
from jobs.commission.wraps import Crossing
from sipa.analysis import style
from sipa.energy.readings import RAPL_UPDATE_NS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ZOOM_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure with what must be said with it.

    Attributes:
        wide: whether it takes the page's whole width.
    """

    key: str
    title: str
    caption: str
    figure: "Figure"
    wide: bool = False


def figures(found: Commissioning) -> tuple[Drawn, ...]:
    """Every figure for which there are numbers."""
    import matplotlib as mpl

    makers: tuple[Callable[[Commissioning], Drawn | None], ...] = (
        _stress,
        _crossing,
        _idle,
        _controls,
        _latency,
        _updates,
    )
    with mpl.rc_context(style.RC):
        return tuple(drawn for make in makers if (drawn := make(found)) is not None)


def _idle(found: Commissioning) -> Drawn | None:
    idle = found.idle
    points = traces.summed(idle.trace, [each.domain for each in idle.window.counters if each.counted])
    if len(points) < 3:
        return None
    figure, (axes,) = drawing.panels(1)
    drawing.steps(axes, points, 0, "1 s", alpha=0.5)
    if idle.block_s > 1:
        drawing.steps(axes, traces.blocks(points, idle.block_s), 1, f"{idle.block_s:g} s", linewidth=1.8)
    axes.set(xlabel="time (s)", ylabel="packages and DRAM (W)", xlim=(0, points[-1][0]))
    axes.margins(y=0.15)
    axes.legend(loc="upper right", title="mean over", title_fontsize=8.5)
    caption = (
        f"The node doing nothing for {idle.window.duration_s:.0f} s. How far the means over {idle.block_s:g} s differ "
        "is what two idle windows of a trial differ by: an error of its net energy. The axis does not begin at zero."
    )
    return Drawn(key="idle", title="Idle power", caption=caption, figure=figure)


def _stress(found: Commissioning) -> Drawn | None:
    stress = found.stress
    shown = [
        (each.domain, stress.trace[each.domain])
        for each in stress.window.counters
        if each.counted and len(stress.trace.get(each.domain, ())) > 1
    ]
    if not shown:
        return None
    warm = len(stress.temperature) > 1
    figure, axes = drawing.panels(*((3, 1) if warm else (1,)), width_in=drawing.WIDE_IN)
    for series, (domain, points) in enumerate(shown):
        drawing.steps(axes[0], points, series, domain)
    for each in stress.crossings:
        drawing.marked(axes[0], (each.after_s + each.before_s) / 2, f"{each.domain} wraps")
    axes[0].set(ylabel="power (W)", xlim=(0, stress.window.duration_s), ylim=(0, None))
    axes[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    if warm:
        times, degrees = zip(*stress.temperature, strict=True)
        axes[1].plot(times, degrees, color=style.colour(1))
        axes[1].set_ylabel("°C")
    axes[-1].set_xlabel("time (s)")
    said = [f"Every CPU busy for {stress.window.duration_s:.0f} s, one point a second."]
    said.append("Dashed: a package counter begins again from 0." if stress.crossings else "No package counter wrapped.")
    said += ["Below: the hottest package."] if warm else []
    return Drawn(key="stress", title="Stress over a wrap", caption=" ".join(said), figure=figure, wide=True)


def _crossing(found: Commissioning) -> Drawn | None:
    lines = [
        (f"{each.domain} ({each.neighbours_w:.1f} W)", _near(each, found.stress.trace[each.domain]))
        for each in found.stress.crossings
        if each.neighbours_w
    ]
    if not lines:
        return None
    figure, (axes,) = drawing.panels(1)
    axes.axvspan(min(each.after_s - each.before_s for each in found.stress.crossings), 0, color=style.INK, alpha=0.12)
    drawing.relative(axes, lines, least=0.5)
    axes.set(xlabel="time from the first look after the wrap (s)", ylabel="power, relative to its median (%)")
    caption = (
        "The half minute to either side of each package’s wrap. Shaded: between the two looks that it lies between. A "
        "wrap missed or counted twice would lie off by some hundred thousand per cent; one counted rightly is not seen."
    )
    return Drawn(key="crossing", title="Power across the wrap", caption=caption, figure=figure)


def _near(each: Crossing, points: Points) -> list[tuple[float, float]]:
    """(middle of the interval from the wrap, deviation from the neighbours' median in per cent)."""
    begins = [0.0, *(end for end, _ in points)]
    middles = [((begin + end) / 2 - each.before_s, watts) for begin, (end, watts) in zip(begins, points, strict=False)]
    return [(at_s, 100 * (watts / (each.neighbours_w or 1) - 1)) for at_s, watts in middles if abs(at_s) <= _ZOOM_S]


def _latency(found: Commissioning) -> Drawn | None:
    loaded = found.latency_loaded
    states = (("idle", found.latency.whole), ("all CPUs busy", loaded.whole if loaded else None))
    shown = [(name, times) for name, times in states if times is not None]
    if not shown:
        return None
    counts = " and ".join(str(times.n) for _, times in shown)
    figure = drawing.histograms(shown, "time to read all counters (µs)", scale=1e6, assumed_s=None)
    caption = f"{counts} reads of all counters, from before the first to after the last. It is the skew of every edge."
    return Drawn(key="latency", title="Read latency", caption=caption, figure=figure)


def _updates(found: Commissioning) -> Drawn | None:
    shown = [(each.domain, each.period) for each in found.updates if each.period is not None]
    if not shown:
        return None
    label = "time between two changes of a counter (ms)"
    figure = drawing.histograms(shown, label, scale=1e3, assumed_s=RAPL_UPDATE_NS / 1e9)
    caption = (
        f"Each counter read without pause for {found.lengths.spin_s:g} s. Dashed: the millisecond of Intel’s manual, "
        "on which the uncertainties in rows are built."
    )
    return Drawn(key="updates", title="Counter update period", caption=caption, figure=figure)


def _controls(found: Commissioning) -> Drawn | None:
    runs = found.repeated.runs
    energies = [(run.sequence + 1.0, run.energy_total_j) for run in runs if run.energy_total_j is not None]
    times = [(run.sequence + 1.0, run.duration_s) for run in runs if run.duration_s > 0]
    lines = [(name, _of_mean(points)) for name, points in (("energy", energies), ("time", times)) if len(points) > 1]
    if not lines:
        return None
    figure, (axes,) = drawing.panels(1)
    axes.axhspan(-1, 1, color=style.INK, alpha=0.08, linewidth=0)
    drawing.relative(axes, lines, least=1.5)
    axes.set(xlabel="run", ylabel="relative to the mean (%)", xticks=[run.sequence + 1 for run in runs])
    caption = (
        f"{len(runs)} runs of the same work ({runs[0].control_id}), one after the other. Shaded: one per cent to "
        "either side. From so few runs the spread itself is known to about a factor of two."
    )
    return Drawn(key="controls", title="The control workload", caption=caption, figure=figure)


def _of_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Deviation from the mean in per cent."""
    mean = statistics.fmean(value for _, value in points)
    return [(x, 100 * (value / mean - 1)) for x, value in points]
