"""Training targets: every box has a teacher, the loss is least where predictions are right."""

import math

import numpy as np
import pytest
import torch  # noqa: TID253
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.detection.anchors import fit_anchors, rescaled
from jobs.detection.assignment import MAX_RATIO, complete_iou, detection_loss, match
from tests.jobs.detection.networks import HEADER, small

PART = st.floats(0.02, 0.98)


@settings(deadline=None)
@given(x=PART, y=PART, width=st.floats(0.5, 5), height=st.floats(0.5, 5), cells=st.integers(1, 20))
def test_a_box_is_taught_near_its_centre_to_anchors_of_its_size(
    x: float, y: float, width: float, height: float, cells: int
) -> None:
    targets = torch.tensor([[0, 3, x * cells, y * cells, width, height]])
    anchors = torch.tensor([[1.0, 1.0], [2.0, 4.0], [9.0, 9.0]])
    found = match(targets, anchors, cells, cells)
    fits = [k for k in range(3) if max_ratio(targets[0, 4:], anchors[k]) < MAX_RATIO]
    assert set(found.anchor.tolist()) == set(fits)
    assert len(found.image) <= 3 * len(fits)
    assert bool(((found.row >= 0) & (found.row < cells)).all())
    assert bool(((found.column >= 0) & (found.column < cells)).all())
    # The decoded centre reaches from half a cell before to one and a half behind the cell's corner.
    assert bool(((found.box[:, :2] >= -0.5 - 1e-4) & (found.box[:, :2] <= 1.5 + 1e-4)).all())
    assert found.category.tolist() == [3] * len(found.image)


def max_ratio(size: torch.Tensor, anchor: torch.Tensor) -> float:
    ratio = size / anchor
    return float(torch.maximum(ratio, 1 / ratio).max())


BOX = st.tuples(*[st.floats(-20, 20)] * 2, *[st.floats(0.5, 20)] * 2)


@settings(deadline=None)
@given(first=BOX, second=BOX)
def test_complete_iou_is_one_only_for_equal_boxes(first: tuple, second: tuple) -> None:
    a, b = torch.tensor([first]), torch.tensor([second])
    assert float(complete_iou(a, a)) == pytest.approx(1, abs=1e-4)
    assert float(complete_iou(a, b)) <= 1 + 1e-5
    assert float(complete_iou(a, b)) >= -2.01


def test_complete_iou_of_disjoint_boxes_still_pulls() -> None:
    box = torch.tensor([[0.0, 0.0, 2.0, 2.0]], requires_grad=True)
    complete_iou(box, torch.tensor([[9.0, 0.0, 2.0, 2.0]])).sum().backward()
    assert float(box.grad[0, 0]) > 0


def test_the_loss_is_finite_without_boxes_and_falls_along_its_gradient() -> None:
    network = small().train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 3, 20.0, 30.0, 15.0, 25.0], [1, 7, 40.0, 40.0, 20.0, 30.0]])
    assert math.isfinite(float(detection_loss(network.head, network(images), targets[:0]).detach()))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    losses = []
    for _ in range(8):
        loss = detection_loss(network.head, network(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


@settings(deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 300))
def test_anchors_lie_within_the_sizes_and_grow(seed: int, count: int) -> None:
    sizes = np.random.default_rng(seed).uniform(5, 70, (count, 2))
    found = np.array(fit_anchors(sizes)).reshape(-1, 2)
    assert found.shape == (9, 2)
    assert np.all(found >= sizes.min(axis=0) - 0.01)
    assert np.all(found <= sizes.max(axis=0) + 0.01)
    assert np.all(np.diff(np.log(found).sum(axis=1)) >= -1e-2)


def test_rescaled_anchors_are_proportional() -> None:
    assert np.allclose(np.array(rescaled(HEADER.anchors, 2)), 2 * np.array(HEADER.anchors))
