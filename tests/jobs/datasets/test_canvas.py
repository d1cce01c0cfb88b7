"""Canvases: boxes inside, tight to the ink, ink never covered."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets import canvas
from jobs.datasets.digits import source
from jobs.datasets.streams import Stream

SEEDS = st.integers(0, 2**32)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_a_canvas_has_one_to_eight_boxes_inside_it(seed: int) -> None:
    image, placed = canvas.compose(Stream(seed), source()[0])
    assert image.shape == (192, 192, 3)
    assert image.dtype == np.uint8
    assert 1 <= len(placed) <= 8
    for one in placed:
        assert min(one.x, one.y) >= 0
        assert min(one.width, one.height) >= 2
        assert max(one.x + one.width, one.y + one.height) <= canvas.SIDE


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_a_box_is_tight_to_the_visible_ink(seed: int) -> None:
    ground = np.full((canvas.SIDE, canvas.SIDE, 3), 20, dtype=np.int64)
    taken = np.zeros(ground.shape[:2], dtype=bool)
    drawn = ground.copy()
    placed = canvas._place(Stream(seed), drawn, taken, source()[0])
    assert placed is not None
    change = np.abs(drawn - ground).max(axis=2)
    visible = change * 2 >= change.max() - 1
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    box = (placed.x, placed.y, placed.x + placed.width, placed.y + placed.height)
    assert np.abs(np.subtract(edges, box)).max() <= 1
    assert not (change > 0)[~taken].any()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_ink_is_never_covered(seed: int) -> None:
    stream = Stream(seed)
    picture = np.full((canvas.SIDE, canvas.SIDE, 3), 128, dtype=np.int64)
    taken = np.zeros(picture.shape[:2], dtype=bool)
    for _ in range(8):
        before, covered = picture.copy(), taken.copy()
        canvas._place(stream, picture, taken, source()[0])
        assert np.array_equal(picture[covered], before[covered])
