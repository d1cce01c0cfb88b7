"""A commissioning as one HTML file: verdicts first, then the evidence, then what it cannot know. Nothing is fetched."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.commission.distribution import Distribution
from jobs.commission.figures import Drawn, figures
from jobs.commission.record import Commissioning
from jobs.commission.thresholds import THRESHOLDS
from jobs.commission.verdict import Verdict, in_short
from sipa import __version__
from sipa.analysis import pages
from sipa.analysis.svg import inline_svg

_NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        numeric: whether a column is aligned to the right.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    note: str = ""


def render(found: Commissioning, commission_id: str) -> str:
    """The page.

    Args:
        found: what to show.
        commission_id: of its content.
    """
    values = {
        "found": found,
        "commission_id": commission_id,
        "version": __version__,
        "took": f"{found.duration_s / 60:.0f} min" if found.duration_s >= 120 else f"{found.duration_s:.0f} s",
        "began": f"{datetime.fromisoformat(found.started_at):%Y-%m-%d %H:%M} UTC",
        "findings": sorted(found.findings, key=lambda each: -list(Verdict).index(each.verdict)),
        "tiles": tuple(_tiles(found)),
        "figures": [_figure(drawn, f"figure-{drawn.key}") for drawn in figures(found)],
        "tables": tuple(_tables(found)),
        "machine": tuple(_flat(found.environment)),
        "thresholds": THRESHOLDS,
    }
    return pages.render("jobs.commission", "commissioning.html", values)


def _figure(drawn: Drawn, key: str) -> Mapping[str, Any]:
    from markupsafe import Markup

    # matplotlib draws every text as paths, so nothing that a machine calls itself reaches the SVG as markup.
    svg = Markup(inline_svg(drawn.figure, key))  # noqa: S704
    return {"key": key, "title": drawn.title, "caption": drawn.caption, "svg": svg, "wide": drawn.wide}


def _tiles(found: Commissioning) -> Iterator[tuple[str, str]]:
    gravest, _, others = in_short(found.findings).partition(", ")
    yield gravest, others or "and nothing else"
    yield _number(found.idle.window.power_w, "W", 1), "idle, packages and DRAM"
    yield _number(found.stress.window.power_w, "W", 1), f"with {found.stress.loaded_cpus} CPUs busy"
    yield f"{len(found.stress.crossings)} of {len(found.facts.packages)}", "package counters crossed a wrap"
    spread = found.repeated.energy_spread
    yield _NONE if spread is None else f"{spread:.2%}", "variation of the control’s energy"


def _tables(found: Commissioning) -> Iterator[tuple[str, Table]]:
    yield "Counters", _counters(found)
    yield "Sources", _sources(found)
    yield "The same windows by another reader", _agreement(found)
    yield "Counters and the node’s own sensor", _node_power(found)
    yield "DRAM", _memory(found)
    yield "Idle, by counter", _idle(found)
    yield "Stress, by counter", _stress(found)
    yield "Times, in microseconds", _times(found)
    yield "Runs of the control workload", _controls(found)
    yield "Checks of doctor --node", _checks(found)


def _counters(found: Commissioning) -> Table:
    rows = [
        (
            each.domain,
            "yes" if each.counted else "no",
            _number(each.count_j * 1e6, "µJ", 3),
            _number(each.range_j / 1e3, "kJ", 1),
            _number(each.sustained_w, "W", 0),
            _number(each.range_j / each.sustained_w / 60 if each.sustained_w else None, "min", 1),
            _number(each.max_power_w, "W", 0),
            each.path,
        )
        for each in found.facts.counters
    ]
    headers = (
        "counter",
        "in totals",
        "one count",
        "wraps after",
        "declared limit",
        "at that",
        "refused above",
        "read from",
    )
    note = "; ".join(f"left out: {each}" for each in found.facts.ignored)
    return _table(headers, rows, left=(0, 1, 7), note=note)


def _sources(found: Commissioning) -> Table:
    return _table(
        ("source", "role", "why not"), [(s.name, s.role, s.reason) for s in found.facts.sources], left=(0, 1, 2)
    )


def _agreement(found: Commissioning) -> Table:
    rows = [
        (
            each.state,
            each.domain,
            _number(each.first_j, "J", 3),
            _number(each.second_j, "J", 3),
            _NONE if each.difference is None else f"{each.difference:+.4%}",
        )
        for each in found.compared
    ]
    names = (found.compared[0].source, found.compared[0].other) if found.compared else ("source", "other")
    note = "A check of the arithmetic and of nothing else: both read one register. DRAM may differ by 0.27 % by design."
    return _table(("window", "counter", *names, "difference"), rows, left=(0, 1), note=note)


def _node_power(found: Commissioning) -> Table:
    rows = [
        (
            each.state,
            _number(each.counters_w, "W", 1),
            _number(each.node_w, "W", 0),
            _number(each.rest_w, "W", 1),
            ", ".join(map(str, each.readings_w)) or each.reason or _NONE,
            _number(each.inlet_c, "°C", 0),
        )
        for each in found.node_power
    ]
    headers = ("state", "counters", "node (DCMI)", "the rest", "readings (W)", "inlet")
    note = "The rest is fans, disks, network, mainboard and the power supply’s loss. Whole watts of unknown averaging."
    return _table(headers, rows, left=(0, 4), note=note)


def _memory(found: Commissioning) -> Table:
    rows = [
        (
            each.domain,
            _number(each.idle_w, "W", 2),
            _number(each.stress_w, "W", 2),
            _NONE if each.share is None else f"{each.share:.1%}",
        )
        for each in found.memory
    ]
    return _table(("counter", "idle", "stress", "of its package"), rows, left=(0,))


def _idle(found: Commissioning) -> Table:
    rows = [
        (
            each.domain,
            _number(each.mean_w, "W", 3),
            _number(each.spread_w, "W", 3),
            _number(each.block_spread_w, "W", 3),
            _number(each.drift_w_per_h, "W/h", 2),
        )
        for each in found.idle.steadiness
    ]
    headers = ("counter", "mean", "sd of 1 s", f"sd of {found.idle.block_s:g} s", "drift")
    return _table(headers, rows, left=(0,))


def _stress(found: Commissioning) -> Table:
    rows = [
        (
            each.domain,
            _number(each.energy_j, "J", 2),
            _number(each.uncertainty_j, "J", 2),
            _number(each.power_w, "W", 3),
            str(each.wraps),
        )
        for each in found.stress.window.counters
    ]
    note = "The uncertainty is that of counting: a count, an update, the read-out at each end. The sensor’s is unknown."
    return _table(("counter", "energy", "uncertainty", "mean", "wraps"), rows, left=(0,), note=note)


def _times(found: Commissioning) -> Table:
    states = [("idle", found.latency)] + ([("loaded", found.latency_loaded)] if found.latency_loaded else [])
    rows = []
    for state, latency in states:
        rows.append(_time_row(f"all counters, {state}", latency.whole))
        rows.append(_time_row(f"begin and end of a window, {state}", latency.window))
        rows += [_time_row(f"{domain} alone, {state}", times) for domain, times in latency.single.items()]
    rows += [_time_row(f"between two changes of {each.domain}", each.period) for each in found.updates]
    headers = ("of what", "number", "least", "median", "95 %", "99 %", "most")
    return _table(headers, rows, left=(0,))


def _time_row(name: str, times: Distribution | None) -> tuple[str, ...]:
    if times is None:
        return (name, "0", *[_NONE] * 5)
    values = (times.min_s, times.median_s, times.p95_s, times.p99_s, times.max_s)
    return (name, str(times.n), *(f"{value * 1e6:.1f}" for value in values))


def _controls(found: Commissioning) -> Table:
    rows = [
        (
            str(run.sequence + 1),
            _number(run.energy_total_j, "J", 2),
            _number(run.duration_s or None, "s", 3),
            _number(run.temperature_end_c, "°C", 0),
            run.reason,
        )
        for run in found.repeated.runs
    ]
    note = found.repeated.runs[0].control_id if found.repeated.runs else ""
    return _table(("run", "energy", "time", "hottest package", "why not"), rows, left=(0, 4), note=note)


def _checks(found: Commissioning) -> Table:
    rows = [(each.state.value, each.name, each.found) for each in found.facts.checks]
    return _table(("state", "check", "found"), rows, left=(0, 1, 2))


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int], note: str = "") -> Table:
    return Table(
        headers=tuple(headers),
        rows=tuple(map(tuple, rows)),
        numeric=tuple(place not in left for place in range(len(headers))),
        note=note,
    )


def _number(value: float | None, unit: str, places: int) -> str:
    return _NONE if value is None else f"{value:,.{places}f} {unit}".replace(",", " ")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The fingerprint as pairs of text, groups opened."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _in_words(value)


def _in_words(value: Any) -> str:
    if value is None:
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
