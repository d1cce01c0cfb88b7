"""`export`: the rows in one file. CSV keeps the columns' names, units included; nothing is rounded."""

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cluster.cli.options import example, json_option, results_option, sweep_argument
from cluster.cli.output import say, write_json

if TYPE_CHECKING:
    import pyarrow as pa

_TARGET = click.Path(dir_okay=False, allow_dash=True)


@click.command(
    epilog=example(
        "sipa-cluster export quickstart --csv trials.csv",
        "sipa-cluster export quickstart --parquet trials.parquet",
        "sipa-cluster export quickstart --json | jq .energy_per_image_j",
    )
)
@sweep_argument()
@click.option(
    "--csv",
    "as_csv",
    type=_TARGET,
    metavar="FILE",
    help="Write comma-separated values; '-' for standard output.",
)
@click.option(
    "--parquet",
    "as_parquet",
    type=_TARGET,
    metavar="FILE",
    help="Write one Parquet file; '-' for standard output.",
)
@json_option("Print one JSON record a trial.")
@results_option()
def export(*, sweep: str, as_csv: str | None, as_parquet: str | None, as_json: bool, results: Path) -> None:
    """Write all rows of a sweep to one file."""
    if [as_csv is not None, as_parquet is not None, as_json].count(True) != 1:
        raise click.UsageError("name exactly one of --csv FILE, --parquet FILE and --json")
    from cluster.cli.target import existing_folder
    from sipa.results.schema import from_table, to_json
    from sipa.results.store import table_of

    table = table_of(existing_folder(sweep, results).path).sort_by("started_at")
    if as_json:
        for row in from_table(table):
            write_json(to_json(row))
    elif as_csv is not None:
        rows = (to_json(row) for row in from_table(table))
        _write(as_csv, csv_text(table.column_names, rows).encode(), len(table))
    elif as_parquet is not None:
        _write(as_parquet, _parquet(table), len(table))


def csv_text(names: list[str], rows: Iterable[dict[str, Any]]) -> str:
    """Rows as CSV: null is empty, a list is JSON, true and false are lower case, floats keep every digit.

    Args:
        names: the header.
        rows: JSON values by name.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list) else value


def _parquet(table: "pa.Table") -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _write(target: str, content: bytes, rows: int) -> None:
    if target == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with _aside(Path(target)) as aside:
        aside.write_bytes(content)
    say(f"{target}: {rows} trials")


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, so that a reader never meets half a file.

    Raises:
        UsageError: the folder is missing or cannot be written.
    """
    from sipa.errors import UsageError

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}. Choose another place.") from error
    finally:
        aside.unlink(missing_ok=True)
