"""Suppression: the public code's results, and every property against brute force."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.detection import nms
from tests.jobs.detection import seeded

STEPS = json.loads((Path(__file__).parents[2] / "data" / "yolov7" / "steps.json").read_text())
SETTINGS = st.tuples(st.integers(0, 25), st.integers(0, 2**31), st.floats(0.05, 0.95))


def boxes_of(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    low = random.integers(0, 20, (count, 2))
    boxes = np.concatenate((low, low + random.integers(1, 15, (count, 2))), axis=1).astype(np.float32)
    return boxes, random.integers(0, 6, count).astype(np.float32) / 5


def brute_force(boxes: np.ndarray, scores: np.ndarray, iou: float) -> list[int]:
    order = sorted(range(len(boxes)), key=lambda index: (-scores[index], index))
    kept: list[int] = []
    for index in order:
        overlaps = nms.box_iou(boxes[[index]], boxes[kept])[0] if kept else []
        if not any(overlap > np.float32(iou) for overlap in overlaps):
            kept.append(index)
    return kept


@pytest.mark.parametrize("case", STEPS["nms"], ids=lambda case: case["name"])
def test_results_are_the_public_ones(case: dict[str, Any]) -> None:
    found = nms.non_max_suppression(
        seeded.predictions(case["seed"], case["n"], case["nc"]),
        confidence=case["conf"],
        iou=case["iou"],
        multi_label=case["multi_label"],
        agnostic=case["agnostic"],
    )
    assert len(found) == case["kept"]
    if case["kept"]:
        assert np.allclose(found[:10], case["first10"], atol=1e-3)
        assert np.allclose(found[-5:], case["last5"], atol=1e-3)
        assert np.allclose(found.sum(axis=0, dtype=np.float64), case["colsum"], rtol=1e-5)


@settings(deadline=None)
@given(SETTINGS)
def test_greedy_is_brute_force(setting: tuple[int, int, float]) -> None:
    count, seed, iou = setting
    boxes, scores = boxes_of(count, seed)
    assert nms.greedy(boxes, scores, iou=iou, limit=1000).tolist() == brute_force(boxes, scores, iou)


@settings(deadline=None)
@given(SETTINGS, st.integers(0, 30))
def test_stopping_early_gives_the_beginning_of_the_same_list(setting: tuple[int, int, float], limit: int) -> None:
    count, seed, iou = setting
    boxes, scores = boxes_of(count, seed)
    full = nms.greedy(boxes, scores, iou=iou, limit=1000).tolist()
    assert nms.greedy(boxes, scores, iou=iou, limit=limit).tolist() == full[:limit]


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 6), st.integers(0, 2**31), st.booleans(), st.booleans())
def test_what_is_kept_is_sorted_confident_and_apart(
    count: int, classes: int, seed: int, multi_label: bool, agnostic: bool
) -> None:
    rows = seeded.predictions(seed, count, classes)
    found = nms.non_max_suppression(
        rows, confidence=0.05, iou=0.5, multi_label=multi_label, agnostic=agnostic, max_detections=20
    )
    assert found.shape[1] == 6
    assert len(found) <= 20
    assert np.all(np.diff(found[:, 4]) <= 0)
    assert np.all(found[:, 4] > 0.05)
    assert np.all((found[:, 5] >= 0) & (found[:, 5] < classes))
    for category in [None] if agnostic else np.unique(found[:, 5]):
        mine = found if category is None else found[found[:, 5] == category]
        overlap = nms.box_iou(mine[:, :4], mine[:, :4])
        np.fill_diagonal(overlap, 0)
        # Offsets of up to 20,000 px cost the suppression two of the float's decimals.
        assert (overlap <= 0.5 + 1e-2).all()


def test_many_candidates_are_cut_to_the_best() -> None:
    rows = seeded.predictions(3, 4000, 80)
    assert len(nms._candidates(rows, 0.0, True)) > nms.MAX_CANDIDATES
    assert len(nms.non_max_suppression(rows, confidence=0.0)) == nms.MAX_DETECTIONS


def test_boxes_without_area_are_kept_without_a_warning() -> None:
    boxes = np.zeros((3, 4), dtype=np.float32)
    assert nms.greedy(boxes, np.ones(3, dtype=np.float32), iou=0.5, limit=9).tolist() == [0, 1, 2]


def test_box_conversion_and_overlap_are_the_public_ones() -> None:
    centred, expected = (np.array(STEPS["xywh2xyxy"][key], dtype=np.float32) for key in ("inp", "out"))
    assert np.array_equal(nms.corners(centred), expected)
    assert np.allclose(nms.box_iou(expected[0:6:2], expected[6:]), STEPS["box_iou"], atol=1e-6)


@settings(deadline=None)
@given(hnp.arrays(np.float32, (4, 2), elements=st.floats(0, 100, width=16)), st.floats(0.5, 50))
def test_overlap_is_symmetric_and_one_with_itself(low: np.ndarray, side: float) -> None:
    boxes = np.concatenate((low, low + np.float32(side)), axis=1)
    overlap = nms.box_iou(boxes, boxes)
    assert np.array_equal(overlap, overlap.T)
    assert np.allclose(np.diag(overlap), 1, atol=1e-4)
    assert overlap.min() >= 0
    assert overlap.max() <= 1 + 1e-4
