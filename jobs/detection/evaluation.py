"""A whole data set through a detector, in its order: the detections of every image and their accuracy."""

from jobs.datasets.dataset import DetectionDataset
from jobs.detection.detector import Array, Detector
from jobs.detection.scoring import Detections, Scores, collect, score


def detect_all(detector: Detector, dataset: DetectionDataset, *, batch: int) -> Detections:
    """Return the detections of every image of a data set, `batch` images at a time."""
    found: list[Array] = []
    for start in range(0, len(dataset), batch):
        positions = range(start, min(start + batch, len(dataset)))
        found.extend(detector.detect([dataset.image(position) for position in positions]).images)
    return collect(dataset, found)


def evaluate(detector: Detector, dataset: DetectionDataset, *, batch: int = 20) -> Scores:
    """Return the accuracy of a detector on a data set."""
    return score(detect_all(detector, dataset, batch=batch), dataset.ground_truth)
