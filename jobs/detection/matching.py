"""Which detections are right at IoU 0.5, and precision, recall and F1 at the confidence where F1 is best.

This follows the public evaluation, not COCO: a detection may only take the box that it overlaps most, and
curves are read at a thousand confidences, averaged over classes before the best one is chosen.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.detection.nms import box_iou

MATCH_IOU = 0.5
_POINTS = 1000
_TINY = 1e-16

Array = NDArray[np.float32]


def true_positives(found: Array, truth: Array) -> NDArray[np.bool_]:
    """Return which detections of one image are right, (n,).

    Args:
        found: (n, 6) x1 y1 x2 y2 score class, by falling score.
        truth: (m, 5) x1 y1 x2 y2 class.
    """
    right = np.zeros(len(found), dtype=bool)
    for category in np.unique(truth[:, 4]):
        mine = np.flatnonzero(found[:, 5] == category)
        theirs = np.flatnonzero(truth[:, 4] == category)
        if not len(mine):
            continue
        overlap = box_iou(found[mine, :4], truth[theirs, :4])
        best = overlap.argmax(axis=1)
        taken: set[int] = set()
        for row in np.flatnonzero(overlap.max(axis=1) > MATCH_IOU):
            if int(best[row]) not in taken:
                taken.add(int(best[row]))
                right[mine[row]] = True
    return right


def best_f1(
    right: NDArray[np.bool_], score: NDArray[Any], category: NDArray[Any], truth_category: NDArray[Any]
) -> tuple[float, float, float]:
    """Return mean precision, recall and F1 at the confidence of the best mean F1; 0 without ground truth.

    Args:
        right: (n,) which detections are right.
        score: (n,) of 0..1.
        category: (n,) class of each detection.
        truth_category: (m,) class of each box of the ground truth.
    """
    order = np.argsort(-score, kind="stable")
    right, score, category = right[order], score[order], category[order]
    present = np.unique(truth_category)
    if not len(present):
        return 0.0, 0.0, 0.0
    groups = [(category == each, int((truth_category == each).sum())) for each in present]
    curves = [_curves(right[mine], score[mine], wanted) for mine, wanted in groups]
    precision, recall = (np.array(part) for part in zip(*curves, strict=True))
    f1 = 2 * precision * recall / (precision + recall + _TINY)
    at = int(f1.mean(axis=0).argmax())
    return float(precision[:, at].mean()), float(recall[:, at].mean()), float(f1[:, at].mean())


def _curves(right: NDArray[np.bool_], score: NDArray[Any], wanted: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return precision and recall of one class at a thousand confidences of 0..1."""
    points = np.linspace(0, 1, _POINTS)
    if not len(right):
        return np.zeros(_POINTS), np.zeros(_POINTS)
    hits = right.cumsum()
    recall = hits / (wanted + _TINY)
    precision = hits / np.arange(1, len(right) + 1)
    return np.interp(-points, -score, precision, left=1), np.interp(-points, -score, recall, left=0)
