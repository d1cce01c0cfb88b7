"""A measured command as lines for people: what was used, how sure that is, and what to doubt."""

import shlex
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from jobs.measured.command import CPU_USE_FROM_S, METERS, MeasuredCommand, MeasuredRun
from jobs.measured.record import run_columns
from jobs.measured.table import energy_table, run_table
from jobs.net import baseline
from jobs.rows import energy_flags
from sipa.energy.dcmi import DcmiReading
from sipa.energy.window import CheckedEnergy
from sipa.trial import Row

WIDTH = 80

_LABEL = 14
_BMC_SEES_FROM_S = 30.0
"""Nobody says over what a BMC averages; what it shows after so long should be of the command alone."""


def lines(measured: MeasuredCommand, *, width: int = WIDTH) -> Iterator[str]:
    """The report; of a command that never ran only that.

    Args:
        measured: the command.
        width: of the lines; tables, paths and commands may be wider.
    """
    if not measured.runs:
        yield f"{measured.ended.how}: nothing was measured"
        return
    rows = [run_columns(measured, run) for run in measured.runs]
    yield ""
    yield from _heading(measured, width)
    yield ""
    yield from energy_table(measured, rows)
    if summed := measured.runs[0].window.summed:
        yield from _wrapped(f"total = {' + '.join(summed)}", width, "  ")
    yield ""
    if len(rows) > 1:
        yield from run_table(measured, rows)
        yield ""
    for label, text in _facts(measured, rows):
        yield from _wrapped(f"{label:<{_LABEL}}{text}", width, "  ", " " * (2 + _LABEL))
    yield ""


def _heading(measured: MeasuredCommand, width: int) -> Iterator[str]:
    runs = f", mean of {len(measured.runs)} runs" if len(measured.runs) > 1 else ""
    command = textwrap.shorten(shlex.join(measured.order.command), width - 12 - len(runs), placeholder=" ...")
    yield f" Energy of {command}{runs}"
    estimate = measured.runs[0].window.estimate
    if estimate is not None:
        what = (
            f"ESTIMATE of the model meter: {estimate.idle_w:g} W idle and {estimate.max_w:g} W busy, as declared, and "
            f"CPU utilisation. Nothing was measured."
        )
    else:
        what = (
            f"by {measured.source}: CPU packages and DRAM of the whole machine, whatever else ran on it. "
            f"Not the energy of the server."
        )
    if str(measured.order.root) != "/":
        what += f" Rehearsal: counters below {measured.order.root}."
    yield from _wrapped(what, width, " ")


def _facts(measured: MeasuredCommand, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """What stands below the tables, as label and text."""
    runs = measured.runs
    many = len(runs) > 1
    yield "time", f"{_mean([run.window.duration_s for run in runs]):.4f} s{' a run' if many else ''}"
    yield "command", measured.ended.how + _left(measured)
    yield from _idle(measured)
    yield from _cpus(rows)
    yield from _warmth(rows)
    if runs[-1].node is not None:
        yield from _node(runs[-1].node, rows[-1]["power_total_w"], rows[-1]["window_s"])
    yield from _checks(measured)
    yield from _quality(runs, rows)
    for reason in measured.passed_over:
        checking = measured.order.meters == METERS and measured.source == METERS[0]
        yield "no check" if checking else "not used", reason
    for note in dict.fromkeys(flag for run in runs for flag in energy_flags(run.window)):
        yield "note", note


def _left(measured: MeasuredCommand) -> str:
    done, asked = len(measured.runs), measured.order.repeat
    return "" if done == asked else f"; stopped after run {done} of {asked}"


def _idle(measured: MeasuredCommand) -> Iterator[tuple[str, str]]:
    if measured.order.idle_s <= 0:
        return
    found = baseline(measured.idle)
    if measured.runs[0].window.estimate is not None:
        yield "idle power", "not measured: there is no net of an estimate"
    elif found.power_w is None:
        yield "idle power", "unavailable"
    elif found.drift_w is None:
        yield "idle power", f"{found.power_w:.2f} W before; not measured after, so its drift is not known"
    else:
        before, after = (window.power_w or 0.0 for window in measured.idle)
        bound = "" if found.uncertainty_w is None else f" ± {found.uncertainty_w:.2f} W"
        drift = f"{before:.2f} W before, {after:.2f} W after: {found.drift_w:+z.2f} W"
        yield "idle power", f"{found.power_w:.2f} W{bound} ({drift})"


def _cpus(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    utilisation, foreign = _mean_of(rows, "cpu_utilisation"), _mean_of(rows, "foreign_cores")
    if utilisation is None or foreign is None:
        short = ": the command is too short" if min(row["window_s"] for row in rows) < CPU_USE_FROM_S else ""
        yield "CPUs", f"use of the CPUs, by the command and by others, is not known{short}"
    else:
        yield "CPUs", f"{100 * utilisation:.1f} % busy; other processes used {foreign:.3f} cores"
    if (hertz := _mean_of(rows, "frequency_effective_hz")) is not None:
        yield "frequency", f"{hertz / 1e9:.3f} GHz, mean of the CPUs while they worked"


def _warmth(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    start_c, end_c = rows[0]["temperature_start_c"], rows[-1]["temperature_end_c"]
    if start_c is not None and end_c is not None:
        yield "temperature", f"{start_c:.0f} °C before, {end_c:.0f} °C after (hottest package)"
    events = {"thermal": "throttle_events", "by the power limit": "power_limit_events"}
    known = {name: [row[column] for row in rows] for name, column in events.items()}
    told = {name: sum(counts) for name, counts in known.items() if None not in counts}
    if told:
        text = ", ".join(f"{count} times {name}" for name, count in told.items() if count)
        yield "throttling", text or f"none ({', '.join(told)})"


def _node(reading: DcmiReading, power_w: float | None, length_s: float) -> Iterator[tuple[str, str]]:
    if reading.power_w is None:
        yield "node", reading.reason or "no power reading"
    else:
        text = f"{reading.power_w} W right after, by its BMC (DCMI): whole watts, seconds old"
        if power_w is not None and power_w > reading.power_w:
            short = length_s < _BMC_SEES_FROM_S
            why = "the command was too short for the BMC to see it" if short else "one of them is wrong"
            text += f". That is less than the counters' {power_w:.1f} W: {why}"
        yield "node", text
    if reading.inlet_c is not None:
        yield "inlet", f"{reading.inlet_c:.0f} °C"


def _checks(measured: MeasuredCommand) -> Iterator[tuple[str, str]]:
    """What a second reader of the same registers says; never called a second measurement."""
    for place, kind in enumerate(measured.checks):
        checks = [run.window.checks[place] for run in measured.runs]
        if wrong := [text for check in checks for text in check.disagreements]:
            for text in wrong:
                yield "check", f"{kind} DISAGREES: {text}"
        else:
            yield (
                "check",
                f"{kind} agrees{_apart(measured.runs, checks)}: a check of the arithmetic, both read one register",
            )


def _apart(runs: Sequence[MeasuredRun], checks: Sequence[CheckedEnergy]) -> str:
    """By how much the two differ, in all runs together."""
    told = []
    for label, ours, theirs in (
        ("packages", [run.window.package_j for run in runs], [check.package_j for check in checks]),
        ("DRAM", [run.window.dram_j for run in runs], [check.dram_j for check in checks]),
    ):
        one, other = _sum(ours), _sum(theirs)
        if one and other is not None:
            told.append(f"{label} {100 * (other / one - 1):+z.3f} %")
    return f" ({', '.join(told)})" if told else ""


def _quality(runs: Sequence[MeasuredRun], rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    counts = Counter(str(run.window.quality) for run in runs)
    found = ", ".join(
        f"{name} ({count} of {len(runs)} runs)" if len(counts) > 1 else name for name, count in counts.items()
    )
    wraps = sum(row["n_wraps"] or 0 for row in rows)
    if wraps:
        found += f"; {wraps} counter wrap{'s' if wraps > 1 else ''} accounted for"
    yield "quality", found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _mean_of(rows: Sequence[Row], column: str) -> float | None:
    total = _sum(row[column] for row in rows)
    return None if total is None else total / len(rows)


def _wrapped(text: str, width: int, first: str, rest: str | None = None) -> list[str]:
    """Lines of at most `width` characters; paths and commands are not cut, so that they can be pasted."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
