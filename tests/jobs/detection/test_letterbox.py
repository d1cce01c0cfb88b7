"""The letterbox: the public geometry, and boxes that come back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.detection.letterbox import PAD_VALUE, Placement, letterbox, to_original, to_square

STEPS = json.loads((Path(__file__).parents[2] / "data" / "yolov7" / "steps.json").read_text())


@pytest.mark.parametrize("case", STEPS["letterbox"], ids=lambda c: f"{c['h0']}x{c['w0']}-{c['img_size']}")
def test_geometry_is_the_public_one(case: dict[str, Any]) -> None:
    image = np.full((case["h0"], case["w0"], 3), 7, dtype=np.uint8)
    square, place = letterbox(image, case["img_size"])
    assert list(square.shape[:2]) == case["out"]
    assert [place.pad_x, place.pad_y] == case["pad_wh"]
    rows, columns = np.nonzero(square[:, :, 0] == 7)
    top, left, bottom, right = case["content"]
    assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == (top, left, bottom, right)
    assert np.all(np.delete(square, np.s_[top:bottom], axis=0) == PAD_VALUE)


@pytest.mark.parametrize("case", STEPS["scale_coords"]["cases"][1:], ids=lambda c: str(c["img1"]))
def test_boxes_come_back_as_in_the_public_code(case: dict[str, Any]) -> None:
    (gain, _), (pad_x, pad_y) = case["ratio_pad"]
    place = Placement(height=case["img0"][0], width=case["img0"][1], gain=gain, pad_x=pad_x, pad_y=pad_y)
    boxes = np.array(STEPS["scale_coords"]["inp"], dtype=np.float32)
    assert np.allclose(to_original(boxes, place), case["out"], atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), size=st.sampled_from([32, 96, 192]), data=st.data())
def test_boxes_survive_the_way_there_and_back(height: int, width: int, size: int, data: Any) -> None:
    square, place = letterbox(np.zeros((height, width, 3), dtype=np.uint8), size)
    assert square.shape == (size, size, 3)
    side = st.floats(0, 1)
    corner = np.array([data.draw(side) * width, data.draw(side) * height] * 2, dtype=np.float32)
    back = to_original(to_square(corner[None], place), place)
    assert np.allclose(back, corner, atol=1e-3 * max(height, width))


def test_an_image_of_the_right_size_is_passed_on_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    square, place = letterbox(image, 64)
    assert square is image
    assert place == Placement(height=64, width=64, gain=1.0, pad_x=0.0, pad_y=0.0)
