"""The report: one HTML file, offline, from a results folder. No script, no font, no picture is fetched.

It is written aside and renamed, so that a reader never sees half of one.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipa import __version__
from sipa.analysis import pages, sections
from sipa.analysis.advice import advise
from sipa.analysis.charts import Chart
from sipa.analysis.facts import SweepFacts, read_facts
from sipa.analysis.figures import Drawn, figures
from sipa.analysis.quantities import Role
from sipa.analysis.stats import SweepSummary, summarize
from sipa.analysis.svg import inline_svg
from sipa.analysis.tables import text_table
from sipa.analysis.threats import threats
from sipa.errors import ResultsError


def write_report(
    folder: Path,
    out: Path | None = None,
    *,
    confidence: float = 0.95,
    with_invalid: bool = False,
    now: datetime | None = None,
) -> Path:
    """Write the report of a sweep.

    Args:
        folder: like results/quickstart.
        out: the file; report.html in the folder if not given.
        confidence: of the intervals, between 0 and 1.
        with_invalid: average rows that are not valid too, and say so.
        now: the time that the report names as its own.

    Returns:
        The file.

    Raises:
        ResultsError: no such folder, not a results folder, no rows yet, or a file that cannot be written.
        UsageError: a confidence that is none.
    """
    facts = read_facts(Path(folder))
    page = render(facts, confidence=confidence, with_invalid=with_invalid, now=now or datetime.now(UTC))
    target = facts.folder.report if out is None else Path(out)
    if target.is_dir():
        target /= "report.html"
    _write(target, page)
    return target


def render(facts: SweepFacts, *, confidence: float, with_invalid: bool, now: datetime) -> str:
    """The report as HTML text."""
    summary = summarize(facts.trials, levels=facts.levels, confidence=confidence, with_invalid=with_invalid)
    return pages.render("sipa.analysis", "report.html", _context(facts, summary, now))


def _context(facts: SweepFacts, summary: SweepSummary, now: datetime) -> Mapping[str, Any]:
    named = sections.labels(facts, summary)
    drawn, withheld = figures(
        facts.trials,
        levels=facts.levels,
        confidence=summary.confidence,
        with_invalid=summary.with_invalid,
    )
    return {
        "facts": facts,
        "summary": summary,
        "version": __version__,
        "made": f"{now:%Y-%m-%d %H:%M} UTC",
        "tiles": tiles(facts, summary),
        "notices": notices(facts, summary),
        "asked": sections.asked(facts, summary),
        "table": text_table(summary, facts.trials),
        "advice": advise(summary),
        "figures": [_figure(each, place) for place, each in enumerate(drawn)],
        "withheld": withheld,
        "sources": sections.sources(facts, summary),
        "qualities": sections.qualities(facts.trials),
        "failures": sections.failures(facts, named),
        "flags": sections.flags(facts.trials),
        "invalid": sections.invalid_rows(facts.trials, named),
        "machine": sections.machine(facts),
        "nodes": sections.nodes(facts.trials),
        "design": sections.design(facts, summary),
        "threats": threats(facts, summary),
        "place": facts.folder.path.as_posix(),
        "method": method(facts, summary),
        "versions": ", ".join(sorted({str(each) for each in facts.trials["code_version"].dropna()})),
    }


def tiles(facts: SweepFacts, summary: SweepSummary) -> tuple[tuple[str, str], ...]:
    """The sweep in five numbers."""
    done = len(facts.trials) - facts.unplanned
    trials = str(len(facts.trials)) if facts.planned is None else f"{done} of {len(facts.planned)}"
    nodes = facts.trials["node_uid"].nunique()
    return (
        (trials, "trials" if facts.planned is None else "planned trials"),
        (str(len(summary.treatments)), "treatment" if len(summary.treatments) == 1 else "treatments"),
        (str(summary.n_valid), "valid rows"),
        (str(nodes), "node" if nodes == 1 else "nodes"),
        (energy_word(facts), "energy"),
    )


def energy_word(facts: SweepFacts) -> str:
    """What energy is in these rows: measured, estimated, both or none."""
    roles = {each.role for each in facts.quantities()} & {
        Role.ENERGY,
        Role.ESTIMATE,
    }
    if roles == {Role.ENERGY}:
        return "measured"
    if roles == {Role.ESTIMATE}:
        return "estimated"
    return "measured, and estimated apart" if roles else "none"


def notices(facts: SweepFacts, summary: SweepSummary) -> tuple[str, ...]:
    """What a reader must know before the first number."""
    said = []
    if facts.missing:
        why = " Some may have been ended by the stop rule." if facts.setting("design", "stop") else ""
        failed = sum(1 for each in facts.missing if each in facts.failures)
        said.append(
            f"Partial: {len(facts.missing)} of {len(facts.planned or ())} planned trials have no row, {failed} of them "
            f"failed.{why} Run the sweep again: it goes on from here."
        )
    if energy_word(facts) == "estimated":
        said.append(
            "Energy in this report is an estimate of the model meter (declared watts × time), not a measurement. "
            "No conclusion about energy and latency is drawn from it."
        )
    if facts.unplanned:
        said.append(f"{facts.unplanned} rows are not in the present plan (another replicate or an earlier sweep file).")
    if not summary.n_valid:
        said.append("No row is valid: points are shown, means are not. The reasons stand under failures and flags.")
    if facts.unreadable:
        said.append(f"Not readable and left out: {'; '.join(facts.unreadable)}")
    return tuple(said)


def method(facts: SweepFacts, summary: SweepSummary) -> str:
    """Two sentences for a methods section."""
    trials = facts.trials
    order = facts.setting("design", "order") or "randomised-blocks"
    models = ", ".join(str(each) for each in trials["cpu_model"].dropna().unique()) or "an unnamed processor"
    began, ended = trials["started_at"].min(), trials["ended_at"].max()
    repetitions = sorted({each.n for each in summary.treatments})
    times = f"{repetitions[0]}" if len(repetitions) == 1 else f"{repetitions[0]} to {repetitions[-1]}"
    return (
        f"{len(summary.treatments)} treatments were each run {times} times (order: {order}) {_when(began, ended)} "
        f"on {trials['node_uid'].nunique()} node(s) with {models}; energy: "
        f"{energy_word(facts)}. Means are given with {summary.confidence:.0%} confidence intervals "
        f"(Student’s t); {summary.n - summary.n_valid} of {summary.n} rows were not valid."
    )


def _when(began: datetime, ended: datetime) -> str:
    first, last = f"{began:%Y-%m-%d}", f"{ended:%Y-%m-%d}"
    return f"on {first}" if first == last else f"between {first} and {last}"


def _figure(drawn: Drawn, place: int) -> Mapping[str, Any]:
    from markupsafe import Markup

    chart: Chart = drawn.chart
    key = f"figure-{place + 1}"
    # matplotlib draws every text as paths, so nothing that a user wrote reaches the SVG as markup.
    svg = Markup(inline_svg(drawn.figure, key))  # noqa: S704
    return {"key": key, "title": chart.title, "caption": drawn.caption, "svg": svg, "estimated": chart.estimated}


def _write(target: Path, page: str) -> None:
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(page, encoding="utf-8")
        aside.replace(target)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise ResultsError(
            f"{target}: the report cannot be written: {error.strerror}. Choose another place with --out."
        ) from error
