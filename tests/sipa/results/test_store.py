"""Commit, duplicate, supersede, restore: what is in the folder afterwards."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sipa
from sipa.errors import ResultsError
from sipa.results.store import Store, writing
from sipa.trial import TrialFailure, TrialResult
from tests.sipa.results.test_schema import minimal


def result(trial_id: str, attempt: int = 1, **columns: Any) -> TrialResult:
    row = minimal(trial_id=trial_id, attempt=attempt, environment_id="e", **columns)
    phase = {
        "phase": "load",
        "domain": "pkg0",
        "begin_ns": 1,
        "end_ns": 2,
        "energy_j": None,
        "quality": "unavailable",
        "reason": "why",
    }
    return TrialResult(trial_id=trial_id, attempt=attempt, row=row, phases=(phase,), environment={"cpu": "x"})


def prepared(folder: Path) -> Store:
    store = Store(folder)
    store.prepare(spec_hash="abc", spec_text="schema = 1\n", plan=pa.table({"trial_id": ["a"]}))
    return store


def test_a_commit_leaves_a_row_and_its_side_files(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    assert not store.commit(result("a")).duplicate
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["a.parquet"]
    assert pq.read_table(tmp_path / "phases/a.1.parquet").to_pylist()[0]["reason"] == "why"
    assert (tmp_path / "environments/e.json").exists()
    assert not list((tmp_path / ".staging").iterdir())
    assert (tmp_path / "spec/abc.toml").read_text() == "schema = 1\n"


def test_the_first_attempt_wins_and_later_ones_are_kept_aside(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.commit(result("a", 1, window_s=1.0))
    assert store.commit(result("a", 2, window_s=2.0)).duplicate
    assert pd.read_parquet(tmp_path / "trials")["window_s"].tolist() == [1.0]
    assert pd.read_parquet(tmp_path / "duplicates/a.2.parquet")["window_s"].tolist() == [2.0]


def test_of_many_writers_at_once_exactly_one_wins(tmp_path: Path) -> None:
    store, said, start = prepared(tmp_path), [], threading.Barrier(8)

    def commit(attempt: int) -> None:
        start.wait()
        said.append(store.commit(result("a", attempt)).duplicate)

    threads = [threading.Thread(target=commit, args=(attempt,)) for attempt in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count(False) == 1
    assert len(list((tmp_path / "duplicates").iterdir())) == 7


def test_equal_predictions_are_kept_once(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    for trial_id in ("a", "b"):
        file = tmp_path / f"{trial_id}.out"
        file.write_bytes(b"boxes")
        given = result(trial_id, predictions_sha256="d" * 64)
        store.commit(TrialResult(**{**_fields(given), "predictions": file}))
    assert [path.name for path in (tmp_path / "predictions").iterdir()] == ["d" * 64 + ".parquet"]


def _fields(given: TrialResult) -> dict[str, Any]:
    return {name: getattr(given, name) for name in given.__dataclass_fields__}


def test_rows_that_are_not_planned_move_and_come_back(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    for trial_id in "abc":
        store.commit(result(trial_id))
    moved = store.reconcile(frozenset("ab"))
    assert (moved.superseded, moved.restored) == (("c",), ())
    assert store.committed() == frozenset("ab")
    assert pd.read_parquet(tmp_path / "superseded")["trial_id"].tolist() == ["c"]
    back = store.reconcile(frozenset("abc"))
    assert back.restored == ("c",)
    assert store.committed() == frozenset("abc")


def test_attempts_are_counted_from_any_trace(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.commit(result("a", 2))
    store.keep_failure(
        TrialFailure(
            trial_id="b", attempt=3, error="TrialCrash", message="m", phase="p", node="n", started_at="", ended_at=""
        )
    )
    (tmp_path / "logs/c.12.log").touch()
    assert store.attempts() == {"a": 2, "b": 3, "c": 12}
    assert store.failures()["b"][0].message == "m"


def test_load_reads_one_sweep_or_several(tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepared(tmp_path / name).commit(result(name))
    assert len(sipa.load(tmp_path / "one")) == 1
    assert set(sipa.load(tmp_path / "one", tmp_path / "two")["trial_id"]) == {"one", "two"}


def test_a_folder_without_rows_is_an_error_with_the_cure(tmp_path: Path) -> None:
    prepared(tmp_path / "empty")
    with pytest.raises(ResultsError, match="Run the sweep first"):
        sipa.load(tmp_path / "empty")
    with pytest.raises(ResultsError, match="no such results folder"):
        sipa.load(tmp_path / "nowhere")


def test_a_foreign_file_among_the_rows_is_named(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    (tmp_path / "trials/x.parquet").write_bytes(b"not parquet")
    with pytest.raises(ResultsError, match=r"x\.parquet"):
        store.rows()


def test_a_full_disk_is_an_error_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"No space left on device.*run again"), writing(tmp_path / "row"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
