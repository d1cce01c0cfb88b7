"""A detection trial as the worker starts it: a real network on real images, scored, with its detections kept."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.detection.catalogue import shipped
from jobs.detection.workload import contents
from jobs.environment import identify
from jobs.order import TrialOrder
from jobs.protocol import run_trial
from jobs.session import Session
from jobs.trial_process import open_meter
from sipa.errors import WorkloadError
from sipa.results.schema import to_table
from sipa.spec.model import CommandOutput
from sipa.trial import Treatment, Trial, TrialFailure, TrialResult
from sipa.workloads import Kind
from tests.jobs.orders import measurement

pytest.importorskip("torch", reason="torch is not installed (extra: node)")
SMALLEST = next(iter(shipped()))


def order(folder: Path, name: str, *, protocol: dict[str, Any] | None = None, **parameters: Any) -> TrialOrder:
    asked = {
        "weights": SMALLEST,
        "dataset": "digits",
        "images": 24,
        "batch_size": 8,
        "execution": "reference",
        "threads": 1,
        "confidence": 0.001,
        "nms_iou": 0.65,
        **parameters,
    }
    treatment = Treatment(kind=Kind.DETECTION, parameters=asked, contents=contents(asked, folder))
    return TrialOrder(
        trial=Trial(treatment=treatment, repetition=1, replicate="", trial_id=name),
        attempt=1,
        sweep="test",
        spec_hash="0",
        session_id="s",
        node="here",
        planned_position=0,
        position=0,
        site=None,
        lease_id=None,
        measurement=measurement(**{"deadline_s": 120.0, **(protocol or {})}),
        output=CommandOutput(),
        source_folder=folder,
        workspace=folder / name,
        log=folder / f"{name}.log",
        cache=folder / "cache",
        root=Path("/"),
    )


def run(asked: TrialOrder) -> TrialResult | TrialFailure:
    with open_meter(asked.measurement, asked.root) as meter:
        session = Session(
            meter=meter,
            identity=identify(asked.root),
            lock=asked.source_folder / "lock",
            abort=threading.Event().is_set,
        )
        return run_trial(asked, session, lambda _: None)


def test_a_row_has_accuracy_latency_and_every_phase(tmp_path: Path) -> None:
    result = run(order(tmp_path, "a"))
    assert isinstance(result, TrialResult), result
    row = result.row
    to_table(row)
    assert 0.2 < row["map_50_95"] <= row["map_50"] <= 1
    assert row["images_measured"] == 24 * row["passes"]
    assert row["batches_measured"] == 3 * row["passes"]
    assert row["image_size"] == shipped()[SMALLEST].image_size
    assert row["time_per_image_s"] == pytest.approx(row["window_s"] / row["images_measured"])
    assert row["latency_batch_mean_s"] == pytest.approx(
        row["latency_batch_inference_mean_s"] + row["latency_batch_nms_mean_s"]
    )
    assert row["latency_batch_mean_s"] * row["batches_measured"] <= row["window_s"]
    for phase in ("import", "load", "warmup", "score", "process"):
        assert row[f"duration_{phase}_s"] > 0
    phases = sum(row[f"duration_{phase}_s"] for phase in ("import", "load", "warmup", "score")) + row["window_s"]
    assert phases < row["duration_process_s"]
    assert result.predictions is not None
    table = pq.read_table(result.predictions)
    assert set(table["image_id"].to_pylist()) <= set(range(1, 25))


def test_equal_detections_are_scored_once_and_the_same_whatever_the_batch(tmp_path: Path) -> None:
    first, second = run(order(tmp_path, "a", batch_size=8)), run(order(tmp_path, "b", batch_size=5))
    assert isinstance(first, TrialResult)
    assert isinstance(second, TrialResult)
    assert first.row["map_50_95"] == pytest.approx(second.row["map_50_95"], abs=1e-3)
    assert not first.row["score_reused"]
    assert second.row["score_reused"] == (first.row["predictions_sha256"] == second.row["predictions_sha256"])
    again = run(order(tmp_path, "c", batch_size=8))
    assert isinstance(again, TrialResult)
    assert again.row["score_reused"]
    assert again.row["map_50_95"] == first.row["map_50_95"]


def test_latencies_are_of_full_batches_and_work_is_of_all(tmp_path: Path) -> None:
    result = run(order(tmp_path, "a", images=10, batch_size=4))
    assert isinstance(result, TrialResult)
    row = result.row
    assert row["batches_measured"] == 3 * row["passes"]
    assert row["images_measured"] == 10 * row["passes"]
    assert 2 * row["passes"] * row["latency_batch_mean_s"] <= row["window_s"]


def test_weights_that_changed_since_the_plan_are_refused(tmp_path: Path) -> None:
    """The row would bear the hash of another file."""
    shutil.copy(shipped()[SMALLEST].path, tmp_path / "mine.safetensors")
    asked = order(tmp_path, "a", weights="mine.safetensors")
    other = next(each for each in shipped().values() if each.name != SMALLEST)
    shutil.copy(other.path, tmp_path / "mine.safetensors")
    found = run(asked)
    assert isinstance(found, TrialFailure)
    assert found.error == "WorkloadError"
    assert "changed since the sweep was planned" in found.message


def test_a_window_is_whole_passes_and_long_enough(tmp_path: Path) -> None:
    result = run(order(tmp_path, "a", images=6, protocol={"min_window_s": 0.5}))
    assert isinstance(result, TrialResult)
    assert result.row["window_s"] >= 0.5
    assert result.row["images_measured"] == 6 * result.row["passes"]
    assert result.row["passes"] > 1


def test_a_batch_larger_than_the_data_set_is_cut_and_said(tmp_path: Path) -> None:
    result = run(order(tmp_path, "a", images=4, batch_size=64))
    assert isinstance(result, TrialResult)
    assert result.row["batch_size"] == 64
    assert result.row["micro_batch"] == 4
    assert any(flag.startswith("batch_size: 64") for flag in result.row["flags"])


def test_more_images_than_there_are_is_a_failure_that_says_so(tmp_path: Path) -> None:
    found = run(order(tmp_path, "a", images=501))
    assert isinstance(found, TrialFailure)
    assert found.error == "WorkloadError"
    assert "501" in found.message


def test_unknown_names_are_refused_before_anything_runs() -> None:
    with pytest.raises(WorkloadError, match="no-such-weights"):
        contents({"weights": "no-such-weights", "dataset": "digits"}, Path())
    with pytest.raises(WorkloadError, match="no-such-set"):
        contents({"weights": SMALLEST, "dataset": "no-such-set"}, Path())
