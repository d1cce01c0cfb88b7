"""`summarize` and `report`: what the rows say, as a table or as a page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.options import FILE, example, json_option, results_option, sweep_argument
from cluster.cli.output import say, write_json, write_table

if TYPE_CHECKING:
    import pandas as pd

    from sipa.analysis.stats import SweepSummary

_confidence = click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    metavar="LEVEL",
    help="Of the intervals.",
)
_with_invalid = click.option(
    "--with-invalid", is_flag=True, help="Average rows too whose numbers are missing or impossible, as their flags say."
)


@click.command(
    epilog=example(
        "sipa-cluster summarize quickstart",
        "sipa-cluster summarize quickstart --metric energy_per_image_j --metric map_50_95",
    )
)
@sweep_argument()
@click.option("--metric", "metrics", multiple=True, metavar="COLUMN", help="A column to summarize; may be repeated.")
@_confidence
@_with_invalid
@json_option("Print one JSON record a treatment, in SI units.")
@results_option()
def summarize(
    *,
    sweep: str,
    metrics: tuple[str, ...],
    confidence: float,
    with_invalid: bool,
    as_json: bool,
    results: Path,
) -> None:
    """Print mean and confidence interval of each treatment."""
    from cluster.cli.target import existing_folder

    write_summary(
        existing_folder(sweep, results).path,
        metrics=metrics or None,
        confidence=confidence,
        with_invalid=with_invalid,
        as_json=as_json,
    )


def write_summary(
    folder: Path,
    *,
    metrics: tuple[str, ...] | None = None,
    confidence: float = 0.95,
    with_invalid: bool = False,
    as_json: bool = False,
    advice: bool = True,
) -> None:
    """Print the table of treatments of a results folder.

    Args:
        folder: like results/quickstart.
        metrics: columns; those of first interest if not given.
        confidence: of the intervals, between 0 and 1.
        with_invalid: average rows that are not valid too.
        as_json: JSON records instead of the table.
        advice: say which numbers are weak and what would make them better.

    Raises:
        ResultsError: no rows.
        UsageError: a metric that is no column.
    """
    from sipa.analysis.facts import read_facts
    from sipa.analysis.stats import summarize as summary_of
    from sipa.analysis.tables import records

    facts = read_facts(folder)
    trials = facts.trials
    summary = summary_of(trials, metrics=metrics, levels=facts.levels, confidence=confidence, with_invalid=with_invalid)
    if as_json:
        for record in records(summary):
            write_json(record)
    else:
        _print(summary, trials, advice=advice)


def _print(summary: "SweepSummary", trials: "pd.DataFrame", *, advice: bool) -> None:
    from sipa.analysis.advice import advise
    from sipa.analysis.tables import text_table

    table = text_table(summary, trials)
    write_table(table.headers, table.rows, numeric=table.numeric)
    say(table.caption)
    for sentence in advise(summary) if advice else ():
        say(sentence)


@click.command(epilog=example("sipa-cluster report quickstart", "sipa-cluster report quickstart --out quickstart.html"))
@sweep_argument()
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Where to write it.  [default: report.html in the results folder]",
)
@_confidence
@_with_invalid
@json_option("Print the file's path as JSON.")
@results_option()
def report(
    *, sweep: str, out: Path | None, confidence: float, with_invalid: bool, as_json: bool, results: Path
) -> None:
    """Write a page with figures and tables; print where it is.

    The page is one file that needs no network. It says what is measured and what is estimated.
    """
    from cluster.cli.target import existing_folder
    from sipa.analysis.report import write_report

    folder = existing_folder(sweep, results).path
    path = write_report(folder, out, confidence=confidence, with_invalid=with_invalid)
    if as_json:
        write_json({"report": str(path)})
    else:
        click.echo(path)
