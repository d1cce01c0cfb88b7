"""Accuracy of detections: the COCO summary of pycocotools, and precision, recall, F1 at the best confidence.

Boxes are rounded to 3 decimals and scores to 5 before anything is scored or hashed, as in the public
evaluation's JSON, so that what is kept on disk gives exactly the scores that stand beside it.
"""

import contextlib
import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.dataset import DetectionDataset
from jobs.detection.matching import best_f1, true_positives

SCORER_VERSION = 1
_BOX_DECIMALS = 3
_SCORE_DECIMALS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Detections of a whole data set, one row each, images in the data set's order.

    Attributes:
        image_id: (n,) int64.
        category_id: (n,) int32, the data set's own ids.
        box: (n, 4) float32: x, y of the upper left corner, width, height, in pixels of the original image.
        score: (n,) float32 of 0..1.
    """

    image_id: NDArray[np.int64]
    category_id: NDArray[np.int32]
    box: NDArray[np.float32]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.image_id)

    def digest(self) -> str:
        """Return the SHA-256 of the rounded rows: equal digests have equal scores."""
        found = hashlib.sha256()
        ids, rest = (self.image_id.astype("<i8"), self.category_id.astype("<i4")), (self.box, self.score)
        for column in (*ids, *(each.astype("<f4") for each in rest)):
            found.update(np.ascontiguousarray(column).data)
        return found.hexdigest()


def collect(dataset: DetectionDataset, found: list[NDArray[np.float32]]) -> Detections:
    """Join per-image detections into one table.

    Args:
        dataset: gives image and category ids.
        found: per image (n, 6): x1 y1 x2 y2 score class index, in pixels of the original image.

    Raises:
        ValueError: not as many results as images.
    """
    if len(found) != len(dataset):
        raise ValueError(f"{len(found)} results for the {len(dataset)} images of {dataset.name}")
    rows = np.concatenate(found) if found else np.zeros((0, 6), dtype=np.float32)
    counts = [len(one) for one in found]
    categories = np.array(dataset.category_ids, dtype=np.int32)
    corner, size = rows[:, :2], rows[:, 2:4] - rows[:, :2]
    return Detections(
        image_id=np.repeat(np.array(dataset.image_ids, dtype=np.int64), counts),
        category_id=categories[rows[:, 5].astype(np.int64)],
        box=np.round(np.concatenate((corner, size), axis=1), _BOX_DECIMALS).astype(np.float32),
        score=np.round(rows[:, 4], _SCORE_DECIMALS).astype(np.float32),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Accuracy of one set of detections, each 0..1.

    Attributes:
        map_50_95: COCO average precision, mean over IoU 0.50 to 0.95 and classes.
        map_50: at IoU 0.50.
        ar_100: COCO average recall with at most 100 detections an image.
        precision: mean over classes at the confidence where the mean F1 is best, IoU 0.50.
        recall: likewise.
        f1: likewise.
        f1_ap_ar: 2 AP AR / (AP + AR) of `map_50_95` and `ar_100`.
    """

    map_50_95: float
    map_50: float
    ar_100: float
    precision: float
    recall: float
    f1: float
    f1_ap_ar: float


def coco_summary(detections: Detections, ground_truth: dict[str, Any]) -> tuple[float, float, float]:
    """Return COCO AP at 0.50:0.95, AP at 0.50 and AR at 100 detections, as pycocotools computes them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not len(detections):
        return 0.0, 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        columns = (detections.image_id[:, None], detections.box, detections.score[:, None])
        rows = np.concatenate((*columns, detections.category_id[:, None]), axis=1, dtype=np.float64)
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = evaluation.stats
    return float(stats[0]), float(stats[1]), float(stats[8])


def score(detections: Detections, ground_truth: dict[str, Any]) -> Scores:
    """Return the accuracy of detections against a COCO dictionary of exactly the images that were used."""
    ap, ap_50, ar = coco_summary(detections, ground_truth)
    precision, recall, f1 = _best_f1(detections, ground_truth)
    return Scores(
        map_50_95=ap,
        map_50=ap_50,
        ar_100=ar,
        precision=precision,
        recall=recall,
        f1=f1,
        f1_ap_ar=2 * ap * ar / (ap + ar) if ap + ar > 0 else 0.0,
    )


def _best_f1(detections: Detections, ground_truth: dict[str, Any]) -> tuple[float, float, float]:
    rows = np.column_stack((detections.box, detections.score, detections.category_id)).astype(np.float32)
    rows[:, 2:4] += rows[:, :2]
    truth: dict[int, list[list[float]]] = {one["id"]: [] for one in ground_truth["images"]}
    for one in ground_truth["annotations"]:
        x, y, width, height = one["bbox"]
        if not one.get("iscrowd"):
            truth[one["image_id"]].append([x, y, x + width, y + height, one["category_id"]])
    order = np.argsort(detections.image_id, kind="stable")
    cuts = np.searchsorted(detections.image_id[order], list(truth), side="left")
    ends = np.searchsorted(detections.image_id[order], list(truth), side="right")
    right = np.zeros(len(rows), dtype=bool)
    for boxes, begin, end in zip(truth.values(), cuts, ends, strict=True):
        mine = order[begin:end]
        right[mine] = true_positives(rows[mine], np.array(boxes, dtype=np.float32).reshape(-1, 5))
    categories = np.array([box[4] for boxes in truth.values() for box in boxes])
    return best_f1(right, detections.score, detections.category_id, categories)
