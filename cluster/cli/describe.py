"""`init` and `schema`: a first sweep file, and what an editor needs to help with it."""

import json
from pathlib import Path

import click

from cluster.cli.options import FILE, example, json_option
from cluster.cli.output import say, write_json


@click.command(
    epilog=example(
        "sipa-cluster init my-sweep",
        "sipa-cluster init my-program --kind command --out sweeps/mine.toml",
    )
)
@click.argument("name", default="my-sweep", metavar="[NAME]")
@click.option(
    "--kind",
    type=click.Choice(["detection", "command"]),
    default="detection",
    show_default=True,
    help="The workload: the built-in detector, or any program of yours.",
)
@click.option("--out", type=FILE, metavar="FILE", help="Where to write it.  [default: NAME.toml]")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@json_option("Print the file's path as JSON.")
def init(*, name: str, kind: str, out: Path | None, force: bool, as_json: bool) -> None:
    """Write a sweep file with every key explained, ready to run."""
    from sipa.errors import UsageError
    from sipa.spec import template
    from sipa.workloads import Kind

    path = out or Path(f"{name}.toml")
    text = template(name, Kind(kind))
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{path}: exists already and is left alone. Overwrite it with --force, or choose --out."
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}. Choose another place with --out.") from error
    if as_json:
        write_json({"file": str(path)})
    else:
        click.echo(path)
        say(f"next: look at it, then 'sipa-cluster plan {path}' and 'sipa-cluster run {path}'")


@click.command(epilog=example("sipa-cluster schema > sweep.schema.json"))
@json_option("Print it on one line.")
def schema(*, as_json: bool) -> None:
    """Print the JSON schema of sweep files, for editors.

    Editors with Even Better TOML (taplo) read it when the first line of a sweep file is
    `#:schema ./sweep.schema.json`.
    """
    from sipa.spec import json_schema

    if as_json:
        write_json(json_schema())
    else:
        click.echo(json.dumps(json_schema(), indent=2))
