"""Rows as Arrow tables and as JSON: every file carries the whole schema, explicitly typed.

pandas drops a column that the first file of a folder lacks, without a word; so a column is never left out of a file,
whatever the workload, and a value that is not there is a typed null.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa

from sipa.arrow import arrow_type
from sipa.columns import BY_NAME, COLUMNS, SCHEMA_VERSION, Column
from sipa.errors import TrialOutputError
from sipa.spec.model import SweepSpec
from sipa.trial import Row


def columns(extra: Iterable[Column] = ()) -> tuple[Column, ...]:
    """All columns of a sweep: the fixed ones, then the sweep's own (free factors, declared metrics) by name."""
    own = {column.name: column for column in extra if column.name not in BY_NAME}
    return (*COLUMNS, *(own[name] for name in sorted(own)))


def own_columns(spec: SweepSpec) -> tuple[Column, ...]:
    """The columns that only this sweep has: its free factors and the metrics that its command prints."""
    output = spec.workload.output
    factors = [
        Column(name=name, type=kind, unit="-", meaning="factor of the sweep file", parameter=True)
        for name, kind in output.free_types
    ]
    metrics = [
        Column(name=name, type=kind, unit="-", meaning="metric that the command prints")
        for name, kind in output.metrics
    ]
    return tuple(column for column in (*factors, *metrics) if column.name not in BY_NAME)


@lru_cache(maxsize=16)
def arrow_schema(extra: tuple[Column, ...] = ()) -> pa.Schema:
    """The Arrow schema of a sweep's rows, with unit and meaning in each field's metadata."""
    fields = [
        pa.field(
            column.name,
            arrow_type(column.type),
            nullable=column.nullable,
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in columns(extra)
    ]
    return pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})


def to_table(row: Row, extra: tuple[Column, ...] = ()) -> pa.Table:
    """One row as an Arrow table with the whole schema.

    Raises:
        TrialOutputError: a column that the schema does not know, a missing value that every row must have, or a value
            that its column cannot hold.
    """
    schema = arrow_schema(extra)
    unknown = sorted(set(row) - set(schema.names))
    if unknown:
        raise TrialOutputError(f"row {row.get('trial_id')}: not columns of the schema: {', '.join(unknown)}")
    missing = [field.name for field in schema if not field.nullable and row.get(field.name) is None]
    if missing:
        raise TrialOutputError(f"row {row.get('trial_id')}: no value for: {', '.join(missing)}")
    arrays = [_array(row.get(field.name), field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(value: object, field: pa.Field) -> pa.Array:
    try:
        if pa.types.is_integer(field.type) and isinstance(value, float) and not value.is_integer():
            raise ValueError("it would be truncated")
        return pa.array([_plain(value)], type=field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise TrialOutputError(f"column {field.name}: {value!r} is not a {field.type}: {error}") from error


def _plain(value: object) -> object:
    """A NaN is not a number that was found: it is stored as null."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return list(value) if isinstance(value, tuple) else value


def from_table(table: pa.Table) -> list[Row]:
    """The rows of a table, as Python values; timestamps are aware and in UTC."""
    rows: list[Row] = table.to_pylist()
    return rows


def to_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON values: the same names and values; timestamps as ISO 8601 in UTC."""
    return {name: _json(value) for name, value in row.items()}


def _json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value


def complete(row: Row, extra: Sequence[Column] = ()) -> Row:
    """The row with every column of the schema, in order, absent ones as None."""
    return {column.name: _plain(row.get(column.name)) for column in columns(extra)}


def columns_markdown(extra: Iterable[Column] = ()) -> str:
    """COLUMNS.md: the contract as a table for people."""
    lines = [
        "# The columns of `trials/*.parquet`",
        "",
        f"Schema version {SCHEMA_VERSION}. One row a trial; SI units; null means that there is no number.",
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{column.name}` | {arrow_type(column.type)} | {column.unit} | {column.meaning.replace('|', '/')} |"
        for column in columns(extra)
    ]
    return "\n".join(lines) + "\n"
