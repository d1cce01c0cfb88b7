"""`doctor`: is this machine fit to control a sweep, and with --node, to measure one?"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.options import FOLDER, example, json_option, root_option
from cluster.cli.output import folded, say, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.preflight import Check

REFUSED = 5
_WIDEST = 100


@click.command(
    epilog=example("sipa-cluster doctor", "sipa-cluster doctor --node", "sipa-cluster doctor --node --restore")
)
@click.option("--node", is_flag=True, help="Check also what measuring needs: counters, processor, company, order.")
@click.option("--restore", is_flag=True, help="First restore governor and turbo that a killed sweep left behind.")
@root_option()
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
def doctor(ctx: click.Context, *, node: bool, restore: bool, root: Path, as_json: bool, results: Path) -> None:
    """Check packages, and whether this machine may measure.

    Every finding has its reason and its cure. Exit code 5 means that measured energy would be
    refused; a sweep that names the 'model' meter still runs.
    """
    from cluster.cli.packages import checks as package_checks
    from jobs.preflight import checks as node_checks
    from jobs.preflight import refused

    if restore:
        _restore(root)
    found = (*package_checks(), *(node_checks(root, results=results) if node else ()))
    if as_json:
        for check in found:
            write_json(asdict(check))
    else:
        for line in check_lines(found, width=_width()):
            click.echo(line)
    ctx.exit(REFUSED if refused(found) else 0)


def check_lines(found: "Sequence[Check]", *, width: int = 80) -> "Iterator[str]":
    """A line a check, by groups; where something is to be done, also why it matters and the cure.

    Args:
        found: the checks.
        width: of the terminal. Commands are never folded, so that they can be pasted.
    """
    for group, members in groupby(found, key=lambda check: check.group):
        checks = list(members)
        names = max(len(check.name) for check in checks)
        yield f"{group}"
        for check in checks:
            yield from _lines(check, names, width)
        yield ""
    yield _verdict(found)


def _lines(check: "Check", names: int, width: int) -> "Iterator[str]":
    done = check.state in ("ok", "info")
    state = check.state if done else check.state.upper()
    yield from folded(f"  {state:<4}  {check.name:<{names}}  ", check.found, width)
    if done:
        return
    yield from folded("        why   ", check.why, width)
    label = "        cure  "
    if check.cure:
        yield from folded(label, check.cure, width)
        label = " " * len(label)
    for command in check.commands:
        yield label + command
        label = " " * len(label)


def _verdict(found: "Sequence[Check]") -> str:
    """What it all comes to."""
    failed = [check for check in found if check.state == "fail"]
    warned = sum(check.state == "warn" for check in found)
    warnings = f"{warned} warning{'s' if warned != 1 else ''}"
    if not failed:
        return f"nothing fails; {warnings}" if warned else "all is well"
    names = ", ".join(check.name for check in failed)
    refusing = any(check.group != "software" for check in failed)
    return f"{'measured energy is refused here' if refusing else 'not usable as it is'}: {names}; {warnings}"


def _restore(root: Path) -> None:
    from jobs.host import restore_left_behind

    restored = restore_left_behind(root)
    for each in restored:
        say(f"restored {each.path}: {each.old} -> {each.wanted}")
    if not restored:
        say("nothing to restore")


def _width() -> int:
    import shutil

    return min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
