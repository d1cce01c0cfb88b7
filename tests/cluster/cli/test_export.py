"""`export`: whatever the form, one record is the row as plain pandas reads it."""

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cluster.cli.export import csv_text
from sipa.results.schema import to_json
from sipa.results.store import table_of
from tests.cluster.cli.calling import Invoke, Sweep


def rows_of(sweep: Sweep) -> dict[str, dict[str, object]]:
    return {row["trial_id"]: row for row in table_of(sweep.folder).to_pylist()}


def test_json_is_the_row(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("export", "fast", "--json")
    records = {each["trial_id"]: each for each in map(json.loads, said.stdout.splitlines())}
    assert records == {trial: to_json(row) for trial, row in rows_of(swept).items()}


def test_parquet_is_all_rows_in_one_file(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("export", "fast", "--parquet", "all.parquet")
    assert (said.exit_code, said.stdout) == (0, "")
    assert "6 trials" in said.stderr
    one = pq.read_table("all.parquet")
    assert one.schema.equals(pq.read_table(swept.folder / "trials", partitioning=None).schema)
    assert {row["trial_id"]: row for row in one.to_pylist()} == rows_of(swept)


def test_csv_has_the_columns_as_they_are_and_keeps_every_digit(swept: Sweep, invoke: Invoke) -> None:
    text = invoke("export", "fast", "--csv", "-").stdout
    header, *lines = csv.reader(io.StringIO(text))
    assert header == pq.read_table(swept.folder / "trials", partitioning=None).column_names
    rows = rows_of(swept)
    for cells in lines:
        found = dict(zip(header, cells, strict=True))
        row = rows.pop(found["trial_id"])
        assert float(found["time_per_work_unit_s"]) == row["time_per_work_unit_s"]
        assert [name for name in header if found[name] == ""] == [n for n in header if row[n] in (None, "")]
    assert not rows
    assert pd.read_csv(io.StringIO(text))["valid"].dtype == bool


def test_csv_to_a_file_is_the_same(swept: Sweep, invoke: Invoke) -> None:
    assert invoke("export", "fast", "--csv", "all.csv").exit_code == 0
    assert Path("all.csv").read_text(encoding="utf-8") == invoke("export", "fast", "--csv", "-").stdout
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_parquet_to_standard_output(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("export", "fast", "--parquet", "-")
    assert len(pq.read_table(io.BytesIO(said.binary))) == 6


@pytest.mark.parametrize("arguments", [[], ["--json", "--csv", "-"], ["--csv", "a", "--parquet", "b"]])
def test_exactly_one_form(arguments: list[str], swept: Sweep, invoke: Invoke) -> None:
    said = invoke("export", "fast", *arguments)
    assert said.exit_code == 2
    assert "exactly one" in said.stderr


def test_a_place_that_cannot_be_written(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("export", "fast", "--csv", "no/such/all.csv")
    assert said.exit_code == 2
    assert "No such file or directory" in said.stderr


def test_cells() -> None:
    row = {"text": 'a "b",\nc', "none": None, "list": ["x", "y"], "truth": True, "number": 0.1, "whole": 3}
    (header, cells) = csv.reader(io.StringIO(csv_text(list(row), [row])))
    assert header == list(row)
    assert cells == ['a "b",\nc', "", '["x", "y"]', "true", "0.1", "3"]
