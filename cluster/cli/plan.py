"""`plan`: what a run would do, in which order, and what it would take. Writes nothing."""

from pathlib import Path

import click

from cluster.cli.options import example, json_option, results_option, sweep_file_argument
from cluster.cli.output import write_json
from cluster.cli.remarks import say_remarks


@click.command(epilog=example("sipa-cluster plan sweep.toml", "sipa-cluster plan sweep.toml --all"))
@sweep_file_argument()
@click.option("--all", "everything", is_flag=True, help="Show every trial with its state, not only the next ones.")
@click.option(
    "--replicate",
    default="",
    metavar="LABEL",
    help="Plan the same treatments measured anew under this label.",
)
@click.option("--local", is_flag=True, help="On this machine, whatever the file's testbed.")
@json_option("Print the plan as one JSON value.")
@results_option()
def plan(*, file: Path, everything: bool, replicate: str, local: bool, as_json: bool, results: Path) -> None:
    """Show trials, order, and a forecast of time, energy and cost.

    Writes nothing.
    """
    from cluster.cli.preview import record, show
    from cluster.survey import Request, survey
    from sipa.spec import load_spec

    spec = load_spec(file)
    say_remarks(spec)
    seen = survey(Request(spec=spec, results=results, replicate=replicate, local=local))
    if as_json:
        write_json(record(seen))
    else:
        show(seen, everything=everything)
