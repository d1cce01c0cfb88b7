"""`doctor`: is this machine fit to control a sweep, and with --node, to measure one?"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.options import FOLDER, example, json_option
from cluster.cli.output import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.preflight import Check

REFUSED = 5


@click.command(epilog=example("sipa-cluster doctor", "sipa-cluster doctor --node", "sudo sipa-cluster doctor --node"))
@click.option("--node", is_flag=True, help="Check also what measuring needs: counters, governor, other load.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    metavar="DIR",
    help="Read counters and host state below DIR: for rehearsals with a copied or made tree.",
)
@json_option("Print one JSON record a check.")
@click.option(
    "--results",
    type=FOLDER,
    default=Path("results"),
    show_default=True,
    metavar="DIR",
    help="Where results would be written.",
)
@click.pass_context
def doctor(ctx: click.Context, *, node: bool, root: Path, as_json: bool, results: Path) -> None:
    """Check packages, and whether this machine may measure.

    Every finding has its reason and its cure. Exit code 5 means that measured energy would be
    refused; a sweep that names the 'model' meter still runs.
    """
    from cluster.cli.packages import checks as package_checks
    from jobs.preflight import checks as node_checks
    from jobs.preflight import refused

    found = (*package_checks(), *(node_checks(root, results=results) if node else ()))
    if as_json:
        for check in found:
            write_json(asdict(check))
    else:
        for line in check_lines(found):
            click.echo(line)
    ctx.exit(REFUSED if refused(found) else 0)


def check_lines(found: "Sequence[Check]") -> "Iterator[str]":
    """A line a check; where something is to be done, also why it matters and the cure."""
    width = max((len(check.name) for check in found), default=0)
    for check in found:
        yield f"{check.state:<5} {check.name:<{width}}  {check.found}"
        if check.state != "ok":
            yield f"      {'':<{width}}  why:  {check.why}"
            yield from [f"      {'':<{width}}  cure: {check.cure}"] if check.cure else []
