"""Rows and their files: nothing changes on the way, whatever the values."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipa.columns import BY_NAME, COLUMNS, Column
from sipa.errors import TrialOutputError
from sipa.results.schema import arrow_schema, columns_markdown, complete, from_table, to_json, to_table
from sipa.workloads import WORKLOADS, ValueType

VALUES: dict[ValueType, st.SearchStrategy[Any]] = {
    ValueType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ValueType.NUMBER: st.floats(allow_nan=False),
    ValueType.TEXT: st.text(),
    ValueType.BOOLEAN: st.booleans(),
    ValueType.TIMESTAMP: st.datetimes(
        min_value=datetime.fromisoformat("1970-01-01"),
        max_value=datetime.fromisoformat("2200-01-01"),
        timezones=st.just(UTC),
    ),
    ValueType.TEXTS: st.lists(st.text(), max_size=3),
}
OWN = (
    Column(name="my_factor", type=ValueType.NUMBER, unit="-", meaning="m", parameter=True),
    Column(name="my_metric", type=ValueType.TEXT, unit="-", meaning="m"),
)


def value(column: Column) -> st.SearchStrategy[Any]:
    given_values = VALUES[column.type]
    return st.none() | given_values if column.nullable else given_values


ROWS = st.fixed_dictionaries({column.name: value(column) for column in (*COLUMNS, *OWN)})


@given(row=ROWS)
@settings(max_examples=60, deadline=None)
def test_a_row_comes_back_as_it_was(row: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rows") / "row.parquet"
    pq.write_table(to_table(row, OWN), path)
    found = from_table(pq.read_table(path))[0]
    assert found == complete(row, OWN)
    json.dumps(
        to_json({name: each for name, each in found.items() if not isinstance(each, float) or math.isfinite(each)})
    )


def minimal(**columns: Any) -> dict[str, Any]:
    defaults: dict[ValueType, Any] = {
        ValueType.INTEGER: 1,
        ValueType.TEXT: "x",
        ValueType.BOOLEAN: True,
        ValueType.TIMESTAMP: datetime(2026, 1, 1, tzinfo=UTC),
        ValueType.TEXTS: [],
        ValueType.NUMBER: 1.0,
    }
    return {column.name: defaults[column.type] for column in COLUMNS if not column.nullable} | columns


def test_every_file_carries_the_whole_schema_so_pandas_drops_nothing(tmp_path: Path) -> None:
    """pandas takes the columns of the first file; the first one here knows nothing of the second's."""
    pq.write_table(to_table(minimal(trial_id="a")), tmp_path / "a.parquet")
    pq.write_table(to_table(minimal(trial_id="b", energy_total_j=1.5, weights="w")), tmp_path / "b.parquet")
    frame = pd.read_parquet(tmp_path)
    assert list(frame.columns) == [column.name for column in COLUMNS]
    assert frame["energy_total_j"].tolist()[1] == 1.5
    assert str(frame["batch_size"].dtype) == "float64"


def test_a_nan_is_stored_as_null() -> None:
    assert from_table(to_table(minimal(energy_total_j=math.nan)))[0]["energy_total_j"] is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (minimal(no_such=1), "no_such"),
        (minimal(trial_id=None), "trial_id"),
        (minimal(batch_size="ten"), "batch_size"),
        (minimal(batch_size=1.5), "batch_size"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(row: dict[str, Any], words: str) -> None:
    with pytest.raises(TrialOutputError, match=words):
        to_table(row)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_every_column_has_a_unit_and_a_meaning(column: Column) -> None:
    assert column.unit
    assert len(column.meaning) > 5
    field = arrow_schema().field(column.name)
    assert field.metadata[b"unit"].decode() == column.unit


UNITS = {"_j": {"J"}, "_w": {"W"}, "_hz": {"Hz"}, "_ns": {"ns"}, "_c": {"°C"}, "_bytes": {"B"}}


@pytest.mark.parametrize("column", [each for each in COLUMNS if each.type is ValueType.NUMBER], ids=lambda c: c.name)
def test_a_number_with_a_unit_has_it_in_its_name(column: Column) -> None:
    for ending, units in UNITS.items():
        if column.name.endswith(ending) and not column.name.startswith(("energy_per", "energy_estimated_per")):
            assert column.unit in units
    if column.unit == "s":
        assert column.name.endswith("_s")
    if column.unit.startswith("J"):
        assert column.name.endswith("_j")


def test_estimates_have_columns_of_their_own() -> None:
    for column in COLUMNS:
        if "estimated" in column.name:
            assert column.meaning.startswith("ESTIMATE")


def test_every_parameter_and_result_of_a_workload_is_a_column() -> None:
    for workload in WORKLOADS.values():
        assert all(each.name in BY_NAME for each in (*workload.parameters, *workload.results))


def test_the_contract_for_people_names_every_column() -> None:
    text = columns_markdown(OWN)
    assert all(f"`{column.name}`" in text for column in (*COLUMNS, *OWN))
