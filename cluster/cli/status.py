"""`status`: how far a sweep is, whether it runs, and what happened last."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.options import example, json_option, results_option, sweep_argument
from cluster.cli.output import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster.cli.state import State
    from sipa.journal import Record

_LAST = 5


@click.command(epilog=example("sipa-cluster status quickstart", "sipa-cluster status sweep.toml --json"))
@sweep_argument()
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=_LAST,
    show_default=True,
    metavar="N",
    help="How many of the latest events to show.",
)
@json_option("Print the state as one JSON value.")
@results_option()
def status(*, sweep: str, last: int, as_json: bool, results: Path) -> None:
    """Show how far a sweep is, and whether it is running.

    SWEEP is a sweep's name, its results folder, or a sweep file.
    """
    from cluster.cli.planned import names
    from cluster.cli.state import read_state
    from cluster.cli.target import existing_folder

    folder = existing_folder(sweep, results)
    state = read_state(folder, now=datetime.now(UTC), last=last)
    edited = _edited(sweep, state)
    if as_json:
        write_json({**asdict(state), "spec_edited": edited})
        return
    for line in state_lines(state, edited=edited, names=names(folder)):
        click.echo(line)


def state_lines(state: "State", *, edited: bool | None, names: "Mapping[str, str]") -> "Iterator[str]":
    """The state as text.

    Args:
        state: of the sweep.
        edited: whether the sweep file differs from the one that ran last; None if none was named.
        names: trial_id -> what to call the trial.
    """
    from cluster.console.quantities import duration

    running = "running" if state.running else "not running"
    eta = "" if state.eta_s is None else f", {duration(state.eta_s)} to go"
    yield f"{state.sweep}: {running}{eta}"
    yield f"  done        {state.committed} of {state.planned}"
    yield f"  failed      {len(state.failed)}"
    yield f"  not needed  {state.stopped}"
    yield f"  remaining   {state.remaining}"
    yield f"  results     {state.folder}"
    if edited:
        yield "  the sweep file is not the one that was run last: 'sipa-cluster plan' shows what it would change"
    yield from _history(state, names)


def _history(state: "State", names: "Mapping[str, str]") -> "Iterator[str]":
    from cluster.console.lines import Labels
    from cluster.console.records import from_record

    labels = Labels(names)
    found = ((record, from_record(record)) for record in state.events)
    lines = [(_stamp(record), labels.sentence(event)) for record, event in found if event is not None]
    yield from [""] if lines else []
    yield from (f"{at} {text}" for at, text in lines if text is not None)


def _stamp(record: "Record") -> str:
    from cluster.console.lines import stamp

    return stamp(datetime.fromisoformat(record["at"]))


def _edited(sweep: str, state: "State") -> bool | None:
    if not sweep.endswith(".toml") or state.spec_hash is None:
        return None
    from sipa.spec import load_spec

    return load_spec(Path(sweep)).spec_hash != state.spec_hash
