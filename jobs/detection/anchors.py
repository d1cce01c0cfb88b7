"""Anchors fitted to a data set: k-means over box sizes, by the ratio that the training assigns by.

The published anchors suit COCO at 640 pixels; for digits of 18 to 72 pixels most of them would never match.
"""

import numpy as np
from numpy.typing import NDArray

from jobs.detection.architectures import Anchors

_ROUNDS = 60


def fit_anchors(sizes: NDArray[np.float64], *, levels: int = 3, per_level: int = 3) -> Anchors:
    """Return anchors from small to large, dealt to the levels in that order.

    Args:
        sizes: (n, 2) widths and heights in pixels, all above 0.
        levels: of the head.
        per_level: anchors of each level.
    """
    logs = np.log(sizes)
    order = np.argsort(logs.sum(axis=1), kind="stable")
    count = levels * per_level
    centres = logs[order[((np.arange(count) + 0.5) * len(sizes) / count).astype(np.int64)]]
    for _ in range(_ROUNDS):
        nearest = ((logs[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        groups = [logs[nearest == position] for position in range(count)]
        centres = np.array([g.mean(axis=0) if len(g) else c for g, c in zip(groups, centres, strict=True)])
    centres = centres[np.argsort(centres.sum(axis=1), kind="stable")]
    found = np.round(np.exp(centres), 2).reshape(levels, per_level, 2)
    return tuple(tuple((float(w), float(h)) for w, h in level) for level in found)


def rescaled(anchors: Anchors, factor: float) -> Anchors:
    """Return anchors for inputs `factor` times as large."""
    return tuple(tuple((w * factor, h * factor) for w, h in level) for level in anchors)
