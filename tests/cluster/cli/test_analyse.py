"""`summarize` and `report`: the figures of the analysis, on standard output or where they are told to be."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.cli.calling import Invoke, Sweep


def test_summarize_is_a_plain_table(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("summarize", "fast")
    lines = said.stdout.splitlines()
    assert said.exit_code == 0
    assert [line.split()[0] for line in lines] == ["x", "1", "2", "3"]
    assert "Student's t" in said.stderr


def test_summarize_json_is_the_mean_of_the_rows(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("summarize", "fast", "--json", "--metric", "time_per_work_unit_s")
    records = {each["parameters"]["x"]: each for each in map(json.loads, said.stdout.splitlines())}
    rows = pd.read_parquet(swept.folder / "trials")
    means = rows.groupby("x")["time_per_work_unit_s"].mean()
    assert {x: each["metrics"]["time_per_work_unit_s"]["mean"] for x, each in records.items()} == pytest.approx(
        means.to_dict()
    )


def test_summarize_an_unknown_metric_names_the_nearest(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("summarize", "fast", "--metric", "time_per_work_unit")
    assert said.exit_code == 2
    assert "Did you mean 'time_per_work_unit_s'?" in said.stderr


def test_report_says_where_it_is(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("report", "fast")
    assert said.exit_code == 0
    page = Path(said.stdout.strip())
    assert page == Path("results/fast/report.html")
    assert "<html" in page.read_text(encoding="utf-8")


def test_report_elsewhere_as_json(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("report", "fast", "--out", "page.html", "--json")
    assert json.loads(said.stdout) == {"report": "page.html"}
    assert Path("page.html").is_file()


@pytest.mark.parametrize("command", ["summarize", "report"])
def test_a_folder_without_rows_is_an_error_with_a_cure(command: str, swept: Sweep, invoke: Invoke) -> None:
    for path in (swept.folder / "trials").iterdir():
        path.unlink()
    said = invoke(command, "fast")
    assert said.exit_code == 2
    assert "Run the sweep first" in said.stderr


@pytest.mark.parametrize("level", ["0", "1", "95"])
def test_a_confidence_that_is_none(level: str, swept: Sweep, invoke: Invoke) -> None:
    assert invoke("summarize", "fast", "--confidence", level).exit_code == 2
