"""Options that several commands share, so that they read the same everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def example(*lines: str) -> str:
    """The epilog of a command's help: how it is really typed."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(meaning: str) -> Callable[[Command], Command]:
    """`--json`: every line of standard output is one JSON value."""
    return click.option("--json", "as_json", is_flag=True, help=meaning)


def results_option() -> Callable[[Command], Command]:
    """`--results`: where the sweeps' folders lie."""
    return click.option(
        "--results",
        type=FOLDER,
        default=Path("results"),
        show_default=True,
        metavar="DIR",
        help="Folder that holds a folder for each sweep.",
    )


def root_option() -> Callable[[Command], Command]:
    """`--root`: where `sys`, `proc` and `dev` are."""
    return click.option(
        "--root",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path("/"),
        metavar="DIR",
        help="Read counters and host state below DIR: for rehearsals with a copied or made tree.",
    )


def sweep_file_argument() -> Callable[[Command], Command]:
    """`SWEEP.toml`."""
    return click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="SWEEP.toml")


def sweep_argument() -> Callable[[Command], Command]:
    """`SWEEP`: a name, a results folder or a sweep file."""
    return click.argument("sweep", metavar="SWEEP", shell_complete=_sweeps)


def trial_argument() -> Callable[[Command], Command]:
    """`TRIAL`: an id or its beginning; may be left out."""
    return click.argument("trial", required=False, metavar="[TRIAL]", shell_complete=_trials)


def _sweeps(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from cluster.cli.target import names

    return [name for name in names(ctx.params.get("results") or Path("results")) if name.startswith(incomplete)]


def _trials(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from cluster.cli.target import folder_of, trial_ids

    sweep = ctx.params.get("sweep")
    if not sweep or sweep.endswith(".toml"):
        return []
    folder = folder_of(sweep, ctx.params.get("results") or Path("results"))
    return [each for each in trial_ids(folder) if each.startswith(incomplete)]
