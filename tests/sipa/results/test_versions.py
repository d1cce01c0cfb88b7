"""Rows of an earlier version can still be read, also beside new ones."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import sipa
from sipa.columns import COLUMNS, SCHEMA_VERSION
from sipa.results.schema import arrow_schema, columns_markdown, to_table
from sipa.results.store import read_rows
from tests.sipa.results.test_schema import minimal

OLD = Path(__file__).parents[2] / "data/rows_v1"
ROW = OLD / "27c9c52720d1ad5d.parquet"
OF_VERSION_1 = 121
"""Columns of every row of version 1; the file's sweep has one of its own."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A results folder of version 1."""
    trials = tmp_path / "results/first/trials"
    trials.mkdir(parents=True)
    shutil.copy(ROW, trials)
    return trials.parent


def new(folder: Path, **columns: Any) -> Path:
    """A results folder of this version."""
    (folder / "trials").mkdir(parents=True)
    row = minimal(trial_id="new", schema_version=SCHEMA_VERSION, **columns)
    pq.write_table(to_table(row), folder / "trials/new.parquet")
    return folder


def test_no_column_of_version_1_is_gone_or_of_another_type() -> None:
    (row,) = read_rows(ROW)
    present = {column.name for column in COLUMNS}
    assert len(row) == OF_VERSION_1 + 1
    assert set(row) - present == {"x"}
    frame = sipa.load(ROW)
    for field in arrow_schema():
        if field.name in row and row[field.name] is not None:
            assert frame[field.name].notna().all(), field.name


@pytest.mark.parametrize("turned", [False, True])
def test_old_and_new_rows_are_one_frame(old: Path, tmp_path: Path, turned: bool) -> None:
    young = new(tmp_path / "young", energy_net_uncertainty_j=1.5, power_limit_events=2, control_id="v1")
    frame = sipa.load(*((young, old) if turned else (old, young))).set_index("schema_version")
    assert sorted(frame.index) == [1, 2]
    assert frame.loc[2, "energy_net_uncertainty_j"] == 1.5
    assert frame.loc[2, "control_id"] == "v1"
    assert frame.loc[1, ["energy_net_uncertainty_j", "power_limit_events", "control_id"]].isna().all()
    assert frame.loc[1, "energy_estimated_j"] == pytest.approx(0.8076, abs=1e-3)
    assert frame.loc[1, "x"] == 1


def test_the_contract_names_its_version() -> None:
    assert f"Schema version {SCHEMA_VERSION}" in columns_markdown()
