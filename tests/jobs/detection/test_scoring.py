"""Accuracy: perfect, absent and wrong detections, the public F1, digests, the table and the cache."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.dataset import DetectionDataset
from jobs.detection.matching import best_f1, true_positives
from jobs.detection.predictions import read_predictions, to_arrow, write_predictions
from jobs.detection.scores import ScoreCache
from jobs.detection.scoring import Detections, Scores, collect, score

STEPS = json.loads((Path(__file__).parents[2] / "data" / "yolov7" / "steps.json").read_text())
BOXES = {5: [(10, 10, 30, 20, 2), (60, 60, 20, 20, 7)], 9: [(5, 5, 50, 50, 7)], 11: []}


def dataset() -> DetectionDataset:
    annotations: list[dict[str, Any]] = []
    for image, boxes in BOXES.items():
        for x, y, width, height, category in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    truth = {
        "images": [{"id": image, "width": 100, "height": 100, "file_name": ""} for image in BOXES],
        "annotations": annotations,
        "categories": [{"id": 2, "name": "a"}, {"id": 7, "name": "b"}],
    }
    return DetectionDataset(
        name="made",
        digest="0",
        image_ids=tuple(BOXES),
        category_ids=(2, 7),
        ground_truth=truth,
        load=lambda _: np.zeros((100, 100, 3), dtype=np.uint8),
    )


def perfect() -> list[np.ndarray]:
    index = {2: 0, 7: 1}
    return [
        np.array(
            [(x, y, x + w, y + h, 0.9 - 0.1 * n, index[c]) for n, (x, y, w, h, c) in enumerate(boxes)],
            dtype=np.float32,
        ).reshape(-1, 6)
        for boxes in BOXES.values()
    ]


def test_perfect_detections_score_one() -> None:
    found = score(collect(dataset(), perfect()), dataset().ground_truth)
    assert dataclasses.astuple(found) == pytest.approx((1,) * 7)


def test_no_detections_score_zero() -> None:
    nothing = [np.zeros((0, 6), dtype=np.float32)] * 3
    assert dataclasses.astuple(score(collect(dataset(), nothing), dataset().ground_truth)) == (0,) * 7


def test_wrong_classes_score_zero() -> None:
    wrong = [np.column_stack((rows[:, :5], 1 - rows[:, 5])).astype(np.float32) for rows in perfect()]
    found = score(collect(dataset(), wrong), dataset().ground_truth)
    assert (found.map_50_95, found.precision, found.recall, found.f1) == (0, 0, 0, 0)


def test_loose_boxes_count_at_a_half_and_less_above() -> None:
    loose = [rows.copy() for rows in perfect()]
    for rows in loose:
        rows[:, 2] += (rows[:, 2] - rows[:, 0]) * 0.4
    found = score(collect(dataset(), loose), dataset().ground_truth)
    assert found.map_50 == pytest.approx(1)
    assert 0.3 < found.map_50_95 < 0.6
    assert found.f1_ap_ar == pytest.approx(2 * found.map_50_95 * found.ar_100 / (found.map_50_95 + found.ar_100))


def test_scoring_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    score(collect(dataset(), perfect()), dataset().ground_truth)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("case", STEPS["precision_recall"]["cases"], ids=lambda case: str(case["nc"]))
def test_precision_recall_and_f1_are_the_public_ones(case: dict[str, Any]) -> None:
    random = np.random.RandomState(case["seed"])
    truth = random.randint(0, case["nc"], case["n_labels"])
    category = random.randint(0, case["nc"], case["n_pred"])
    confidence = random.rand(case["n_pred"]).astype(np.float32)
    right = (random.rand(case["n_pred"], 1) * (0.3 + 0.7 * confidence[:, None])) > np.linspace(0.25, 0.9, 10)
    found = best_f1(right[:, 0], confidence, category, truth)
    assert found == pytest.approx((case["mp"], case["mr"], case["mf1"]), abs=1e-9)


def test_a_box_is_taken_once_by_the_better_detection() -> None:
    rows = np.array([[0, 0, 10, 10, 0.9, 1], [0, 0, 10, 10, 0.8, 1], [0, 0, 10, 10, 0.7, 0]], dtype=np.float32)
    truth = np.array([[0, 0, 10, 11, 1]], dtype=np.float32)
    assert true_positives(rows, truth).tolist() == [True, False, False]
    assert true_positives(rows, truth[:0]).tolist() == [False] * 3


def test_rows_are_rounded_as_the_public_json() -> None:
    (case,) = [STEPS["coco_json"]["rows"]]
    rows = np.array(STEPS["coco_json"]["det"], dtype=np.float32)
    rows[:, 5] = [0, 1]
    found = collect(dataset(), [rows, rows[:0], rows[:0]])
    assert np.allclose(found.box, [row["bbox"] for row in case], atol=1e-5)
    assert np.allclose(found.score, [row["score"] for row in case], atol=1e-7)
    assert found.category_id.tolist() == [2, 7]
    assert found.image_id.tolist() == [5, 5]


def test_a_result_for_every_image_is_asked_for() -> None:
    with pytest.raises(ValueError, match="2 results for the 3 images"):
        collect(dataset(), perfect()[:2])


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 2**31))
def test_equal_detections_and_only_they_have_equal_digests(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    found = Detections(
        image_id=random.integers(0, 9, count),
        category_id=random.integers(0, 9, count).astype(np.int32),
        box=random.random((count, 4)).astype(np.float32),
        score=random.random(count).astype(np.float32),
    )
    same = dataclasses.replace(found, box=found.box.copy(order="F"))
    assert same.digest() == found.digest()
    if count:
        other = dataclasses.replace(found, score=np.nextafter(found.score, np.float32(2)))
        assert other.digest() != found.digest()


def test_the_table_has_units_and_comes_back(tmp_path: Path) -> None:
    found = collect(dataset(), perfect())
    table = to_arrow(found)
    assert {field.name: str(field.type) for field in table.schema} == {
        "image_id": "int64",
        "category_id": "int32",
        **dict.fromkeys(("x", "y", "w", "h", "score"), "float"),
    }
    assert table.schema.field("w").metadata[b"unit"] == b"px"
    path = tmp_path / "new" / "predictions.parquet"
    write_predictions(found, path)
    assert read_predictions(path).digest() == found.digest()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"map_50": 1}', '{"map_50": null}'])
def test_equal_detections_are_scored_once_and_damage_heals(tmp_path: Path, damage: str) -> None:
    calls: list[int] = []
    wanted = Scores(map_50_95=0.5, map_50=0.6, ar_100=0.7, precision=0.8, recall=0.9, f1=0.1, f1_ap_ar=0.2)

    def compute() -> Scores:
        calls.append(1)
        return wanted

    cache = ScoreCache(tmp_path / "scores")
    assert [cache.get_or("d", "g", compute) for _ in range(3)] == [wanted] * 3
    assert len(calls) == 1
    cache.get_or("d", "other ground truth", compute)
    cache.get_or("other detections", "g", compute)
    assert len(calls) == 3
    for path in cache.directory.iterdir():
        path.write_text(damage)
    assert cache.get_or("d", "g", compute) == wanted
    assert len(calls) == 4
