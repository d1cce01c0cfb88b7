"""Non-maximum suppression in numpy, with the public evaluation's constants and without its time limit.

The public one gives up after ten seconds a batch and leaves the remaining images without any detection, which
on a CPU silently costs accuracy at large batches. Stopping as soon as 300 boxes are kept gives the same 300.
"""

import numpy as np
from numpy.typing import NDArray

CLASS_OFFSET_PX = 4096
"""Shifts the boxes of one class away from those of the next, so that one pass serves all classes."""

MAX_CANDIDATES = 30_000
MAX_DETECTIONS = 300
CONFIDENCE = 0.001
IOU = 0.65
_BLOCK = 64
_COLUMNS = 2048

Array = NDArray[np.float32]


def corners(boxes: Array) -> Array:
    """Return boxes given by centre, width and height, (n, 4), as x1 y1 x2 y2."""
    half = boxes[:, 2:4] / 2
    return np.concatenate((boxes[:, 0:2] - half, boxes[:, 0:2] + half), axis=1)


def box_iou(first: Array, second: Array) -> Array:
    """Return the intersection over union of every pair, (n, m), of boxes x1 y1 x2 y2."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(axis=2)
    return np.asarray(inter / (_area(first)[:, None] + _area(second)[None, :] - inter), dtype=np.float32)


def greedy(boxes: Array, scores: Array, *, iou: float, limit: int) -> NDArray[np.int64]:
    """Keep the best box, drop what overlaps it by more than `iou`, and so on.

    Candidates are decided in blocks of 64, which takes a tenth of the array operations of one box at a time and
    gives the same list.

    Args:
        boxes: (n, 4) x1 y1 x2 y2.
        scores: (n,); equal ones in the order given.
        iou: overlap above which the lesser box goes.
        limit: stop at so many kept boxes.

    Returns:
        Positions of the kept boxes by falling score, at most `limit`.
    """
    order = np.argsort(-scores, kind="stable")
    left, sides = order, np.ascontiguousarray(boxes[order].T)
    kept: list[NDArray[np.int64]] = []
    count = 0
    # Boxes without area overlap each other by 0 / 0, which is not more than anything.
    with np.errstate(invalid="ignore"):
        while len(left) and count < limit:
            chosen = _decide(sides[:, :_BLOCK], iou)[: limit - count]
            kept.append(left[chosen])
            count += len(chosen)
            rest = _apart(sides[:, chosen], sides[:, _BLOCK:], iou) + _BLOCK
            left, sides = left[rest], sides[:, rest]
    return np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)


def _decide(sides: Array, iou: float) -> list[int]:
    """Return which boxes of one block, (4, n) by falling score, are kept among themselves."""
    lesser = np.packbits(_overlaps(sides, sides, iou), axis=1, bitorder="little")
    dropped, kept = 0, []
    for position, row in enumerate(lesser):
        if not dropped >> position & 1:
            kept.append(position)
            dropped |= int.from_bytes(row.tobytes(), "little")
    return kept


def _apart(kept: Array, others: Array, iou: float) -> NDArray[np.int64]:
    """Return the positions of the boxes, (4, n), that no kept one overlaps; a part at a time, to stay in cache."""
    starts = range(0, others.shape[1], _COLUMNS)
    parts = [~_overlaps(kept, others[:, at : at + _COLUMNS], iou).any(axis=0) for at in starts]
    return np.flatnonzero(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)


def _overlaps(first: Array, second: Array, iou: float) -> NDArray[np.bool_]:
    """Return whether each pair of boxes, (4, n) and (4, m), overlaps by more than `iou`, (n, m)."""
    width = np.minimum(first[2, :, None], second[2]) - np.maximum(first[0, :, None], second[0])
    height = np.minimum(first[3, :, None], second[3]) - np.maximum(first[1, :, None], second[1])
    inter = np.maximum(width, 0, out=width)
    inter *= np.maximum(height, 0, out=height)
    areas = (first[2] - first[0]) * (first[3] - first[1])
    union = areas[:, None] + (second[2] - second[0]) * (second[3] - second[1])
    union -= inter
    return np.asarray(np.divide(inter, union, out=inter) > np.float32(iou))


def non_max_suppression(
    predictions: Array,
    *,
    confidence: float = CONFIDENCE,
    iou: float = IOU,
    multi_label: bool = True,
    agnostic: bool = False,
    max_detections: int = MAX_DETECTIONS,
) -> Array:
    """Return one image's detections.

    Args:
        predictions: (n, 5 + classes): centre x, y, width, height in pixels, objectness, class scores.
        confidence: objectness, and objectness times class score, must exceed it.
        iou: overlap above which the lesser of two boxes of a class goes.
        multi_label: a box may count for several classes, as in the public evaluation.
        agnostic: boxes of different classes suppress each other too.
        max_detections: keep the best so many.

    Returns:
        (k, 6): x1 y1 x2 y2 score class, by falling score.
    """
    found = _candidates(predictions, confidence, multi_label)
    if len(found) > MAX_CANDIDATES:
        found = found[np.argsort(-found[:, 4], kind="stable")[:MAX_CANDIDATES]]
    offset = found[:, 5:6] * np.float32(0 if agnostic else CLASS_OFFSET_PX)
    kept = greedy(found[:, :4] + offset, found[:, 4], iou=iou, limit=max_detections)
    return found[kept]


def _candidates(predictions: Array, confidence: float, multi_label: bool) -> Array:
    rows = predictions[predictions[:, 4] > confidence]
    scores = rows[:, 5:] * rows[:, 4:5] if rows.shape[1] > 6 else rows[:, 4:5]
    boxes = corners(rows)
    if multi_label and scores.shape[1] > 1:
        row, category = np.nonzero(scores > confidence)
    else:
        category = scores.argmax(axis=1)
        row = np.flatnonzero(scores.max(axis=1, initial=0) > confidence)
        category = category[row]
    parts = (boxes[row], scores[row, category][:, None], category[:, None].astype(np.float32))
    return np.concatenate(parts, axis=1)


def _area(boxes: Array) -> Array:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), dtype=np.float32)
