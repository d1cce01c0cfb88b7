"""Which prediction is taught which box, and the loss over them, for training.

A box is taught to every anchor whose width and height are within a factor of 3, at the cell of its centre and
at the two neighbouring cells nearest to the centre: three times the positives, which matters when training is
short.
"""

from dataclasses import dataclass

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from jobs.detection.blocks import Detect

MAX_RATIO = 3.0
BOX_GAIN = 0.2
OBJECTNESS_GAIN = 0.7
CLASS_GAIN = 0.4
LEVEL_BALANCE = (4.0, 1.0, 0.4)


@dataclass(frozen=True, slots=True)
class Matches:
    """Positives of one level: positions in the raw output, and what each should say.

    Attributes:
        image, anchor, row, column: (m,) indices.
        box: (m, 4) centre x, y, width, height in cells, the centre relative to the cell's corner.
        category: (m,) class indices.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    box: Tensor
    category: Tensor


def match(targets: Tensor, anchors: Tensor, height: int, width: int) -> Matches:
    """Assign boxes to anchors and cells of one level.

    Args:
        targets: (n, 6): image, class, centre x, y, width, height, in cells.
        anchors: (anchors, 2) in cells.
        height: cells of the level.
        width: cells of the level.
    """
    ratio = targets[None, :, 4:6] / anchors[:, None]
    fits = torch.maximum(ratio, 1 / ratio).amax(2) < MAX_RATIO
    anchor, which = fits.nonzero(as_tuple=True)
    chosen = targets[which]
    centre = chosen[:, 2:4]
    limit = torch.tensor([width, height], dtype=centre.dtype)
    part = centre % 1
    step = torch.where(part < 0.5, -1.0, 1.0)
    x_only, y_only = step * torch.tensor([1.0, 0.0]), step * torch.tensor([0.0, 1.0])
    cells = torch.cat([centre.floor(), centre.floor() + x_only, centre.floor() + y_only])
    inside = ((cells >= 0) & (cells < limit)).all(1)
    chosen, anchor = chosen.repeat(3, 1)[inside], anchor.repeat(3)[inside]
    cells = cells[inside]
    return Matches(
        image=chosen[:, 0].long(),
        anchor=anchor,
        row=cells[:, 1].long(),
        column=cells[:, 0].long(),
        box=torch.cat((chosen[:, 2:4] - cells, chosen[:, 4:6]), 1),
        category=chosen[:, 1].long(),
    )


def detection_loss(head: Detect, raw: list[Tensor], targets: Tensor) -> Tensor:
    """Return the loss of a batch, one number.

    Args:
        head: the detection head that the raw output comes from.
        raw: per level (batch, anchors, height, width, 5 + classes).
        targets: (n, 6): image, class, centre x, y, width, height, in pixels of the input.
    """
    total = torch.zeros(())
    for level, output in enumerate(raw):
        stride = head.strides[level]
        scaled = torch.cat((targets[:, :2], targets[:, 2:] / stride), 1)
        found = match(scaled, head.anchors[level], output.shape[2], output.shape[3])
        total = total + _level_loss(output.float(), found, head.anchors[level], LEVEL_BALANCE[level])
    return total


def _level_loss(output: Tensor, found: Matches, anchors: Tensor, balance: float) -> Tensor:
    wanted = torch.zeros(output.shape[:4])
    loss = torch.zeros(())
    if len(found.image):
        position = (found.image, found.anchor, found.row, found.column)
        rows = output[position]
        centre = rows[:, 0:2].sigmoid() * 2 - 0.5
        size = (rows[:, 2:4].sigmoid() * 2) ** 2 * anchors[found.anchor]
        overlap = complete_iou(torch.cat((centre, size), 1), found.box)
        category = functional.one_hot(found.category, output.shape[4] - 5).float()
        loss = BOX_GAIN * (1 - overlap).mean()
        loss = loss + CLASS_GAIN * functional.binary_cross_entropy_with_logits(rows[:, 5:], category)
        flat = (found.image * output.shape[1] + found.anchor) * output.shape[2] + found.row
        flat = flat * output.shape[3] + found.column
        wanted.view(-1).scatter_reduce_(0, flat, overlap.detach().clamp(0), "amax")
    objectness = functional.binary_cross_entropy_with_logits(output[..., 4], wanted)
    return loss + OBJECTNESS_GAIN * balance * objectness


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the complete IoU of paired boxes, (n,), at most 1 (Zheng et al., AAAI 2020).

    Args:
        first: (n, 4) centre x, y, width, height; the gradient flows here.
        second: (n, 4) likewise.
    """
    tiny = 1e-7
    low_1, high_1 = first[:, :2] - first[:, 2:] / 2, first[:, :2] + first[:, 2:] / 2
    low_2, high_2 = second[:, :2] - second[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2
    span = (torch.minimum(high_1, high_2) - torch.maximum(low_1, low_2)).clamp(0)
    inter = span.prod(1)
    union = first[:, 2:].prod(1) + second[:, 2:].prod(1) - inter + tiny
    overlap = inter / union
    outer = torch.maximum(high_1, high_2) - torch.minimum(low_1, low_2)
    distance = ((first[:, :2] - second[:, :2]) ** 2).sum(1) / ((outer**2).sum(1) + tiny)
    turn = torch.atan(second[:, 2] / second[:, 3]) - torch.atan(first[:, 2] / (first[:, 3] + tiny))
    shape = 4 / torch.pi**2 * turn**2
    with torch.no_grad():
        weight = shape / (1 - overlap + shape + tiny)
    return overlap - distance - weight * shape
