"""Detection as a workload: load, warm up, whole passes over the images until the window is long enough, score.

Images are decoded before the window and stay in memory as bytes; letterboxing, the network and non-maximum suppression
are inside it. Passes are whole, so every window holds the same mix of images whatever the batch size.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from jobs.datasets.dataset import DetectionDataset, Image
from jobs.environment import available_cpus
from jobs.memory import own_peak_bytes
from jobs.order import TrialOrder
from jobs.steady import WarmUp
from jobs.workload import INFERENCE, Findings, Recorder
from sipa.errors import WorkloadError
from sipa.trial import Row
from sipa.workloads import Value


def contents(parameters: Mapping[str, Value], folder: Path) -> dict[str, str]:
    """What the names in a treatment stand for: SHA-256 of the weights and digest of the data set.

    Args:
        parameters: with `weights` and `dataset`.
        folder: the sweep file's, to which paths are relative.

    Raises:
        WorkloadError: unknown weights or data set, or one that cannot be read.
    """
    from jobs.datasets.catalogue import dataset_digest
    from jobs.detection.catalogue import find

    return {
        "weights_sha256": find(str(parameters["weights"]), base=folder).sha256,
        "dataset_sha256": dataset_digest(str(parameters["dataset"]), base=folder),
    }


def run(order: TrialOrder, recorder: Recorder) -> Findings:
    """Run one detection trial."""
    with recorder.phase("import"):
        import_all()
    with recorder.phase("load"):
        job = _load(order, recorder)
    with recorder.phase("warmup"):
        unsteady = _warm_up(job, order.measurement.warmup_max_s, recorder)
    passes = _Passes()
    with recorder.phase(INFERENCE):
        _measure(job, passes, order.measurement.min_window_s, recorder)
    with recorder.phase("score"):
        scores = _score(job, passes, order)
    return Findings(
        work_unit="image",
        work_units=float(passes.done * len(job.images)),
        images=passes.done * len(job.images),
        passes=passes.done,
        unsteady=unsteady,
        batch_latencies_s=tuple(each.latency_s for each in passes.full_batches()),
        columns={
            **job.columns,
            **scores,
            **passes.means(),
            "batches_measured": len(passes.batches),
            "memory_peak_bytes": own_peak_bytes(),
        },
    )


def import_all() -> None:
    """Import what inference needs, so that importing is a phase of its own."""
    import cv2
    import torch

    import jobs.detection.detector  # noqa: F401

    cv2.setNumThreads(1)
    torch.set_grad_enabled(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    detector: Any
    dataset: DetectionDataset
    images: tuple[Image, ...]
    batch: int
    columns: Row

    def batches(self) -> "list[tuple[Image, ...]]":
        return [self.images[start : start + self.batch] for start in range(0, len(self.images), self.batch)]


@dataclass(frozen=True, slots=True)
class _Batch:
    images: int
    latency_s: float
    nms_s: float


@dataclass(slots=True)
class _Passes:
    """What whole passes gave; detections are kept of the first only: the others repeat it."""

    done: int = 0
    batches: list[_Batch] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)

    def full_batches(self) -> list[_Batch]:
        """The last batch of a pass may be smaller; its latency is that of another batch size."""
        full = max(batch.images for batch in self.batches)
        return [batch for batch in self.batches if batch.images == full]

    def means(self) -> Row:
        """Where the time of a full batch goes."""
        full = self.full_batches()
        nms_s = fmean(batch.nms_s for batch in full)
        return {
            "latency_batch_inference_mean_s": fmean(batch.latency_s for batch in full) - nms_s,
            "latency_batch_nms_mean_s": nms_s,
        }


def _load(order: TrialOrder, recorder: Recorder) -> _Job:
    import torch

    from jobs.datasets.catalogue import dataset
    from jobs.detection import catalogue
    from jobs.detection.checkpoint import load
    from jobs.detection.detector import Detector, Execution

    asked = order.trial.treatment.parameters
    threads = int(asked.get("threads", available_cpus()))
    torch.set_num_threads(threads)
    weights = catalogue.find(str(asked["weights"]), base=order.source_folder)
    catalogue.verify(weights)
    found = dataset(str(asked["dataset"]), base=order.source_folder)
    _check_contents(order, weights_sha256=weights.sha256, dataset_sha256=found.digest)
    data = _subset(found, asked.get("images"))
    network, header = load(weights.path)
    size = int(asked.get("image_size", header.image_size))
    detector = Detector(
        network.fuse(),
        image_size=size,
        execution=Execution(str(asked["execution"])),
        confidence=float(asked["confidence"]),
        iou=float(asked["nms_iou"]),
    )
    batch = int(asked["batch_size"])
    if batch > len(data):
        recorder.flag(f"batch_size: {batch} asked, the data set has {len(data)} images, so batches of that")
    return _Job(
        detector=detector,
        dataset=data,
        images=tuple(data.images()),
        batch=min(batch, len(data)),
        columns={
            **order.trial.treatment.contents,
            "images": len(data),
            "image_size": size,
            "threads": threads,
            "micro_batch": min(batch, len(data)),
        },
    )


def _check_contents(order: TrialOrder, **found: str) -> None:
    """The files must be those whose hashes the row will bear.

    Raises:
        WorkloadError: one changed since the sweep was planned.
    """
    planned = order.trial.treatment.contents
    changed = [name for name, digest in found.items() if planned.get(name) != digest]
    if changed:
        raise WorkloadError(
            f"{', '.join(changed)}: the files changed since the sweep was planned. Run the sweep again: it is planned "
            "anew, with the files as they are now."
        )


def _subset(data: DetectionDataset, images: Value | None) -> DetectionDataset:
    if images is None:
        return data
    try:
        return data.first(int(images))
    except ValueError as error:
        raise WorkloadError(f"workload.images: {error}") from error


def _warm_up(job: _Job, max_s: float, recorder: Recorder) -> str | None:
    """Run batches until the machine is steady; what still changes where it is not after `max_s`."""
    warm_up, batch = WarmUp(max_s), job.images[: job.batch]
    while not warm_up.over(recorder.elapsed_s()):
        begin = time.perf_counter()
        job.detector.detect(batch)
        warm_up.batch(time.perf_counter() - begin)
        at_s = recorder.elapsed_s()
        if warm_up.due(at_s):
            warm_up.sample(at_s, recorder.temperature_c())
        recorder.progress(min(1.0, at_s / max_s))
    return warm_up.unsteady()


def _measure(job: _Job, passes: _Passes, min_window_s: float, recorder: Recorder) -> None:
    batches = job.batches()
    while passes.done == 0 or recorder.elapsed_s() < min_window_s:
        for position, batch in enumerate(batches):
            begin = time.perf_counter()
            detected = job.detector.detect(batch)
            passes.batches.append(_Batch(len(batch), time.perf_counter() - begin, detected.nms_s))
            if passes.done == 0:
                passes.found.extend(detected.images)
            share = (position + 1) / len(batches) if passes.done == 0 else 1.0
            recorder.progress(min(share, recorder.elapsed_s() / min_window_s) if min_window_s else share)
        passes.done += 1


def _score(job: _Job, passes: _Passes, order: TrialOrder) -> Row:
    from jobs.detection.predictions import write_predictions
    from jobs.detection.scores import ScoreCache
    from jobs.detection.scoring import collect, score

    detections = collect(job.dataset, passes.found)
    write_predictions(detections, order.predictions)
    computed = False

    def compute() -> Any:
        nonlocal computed
        computed = True
        return score(detections, job.dataset.ground_truth)

    found = ScoreCache(order.cache).get_or(detections.digest(), job.dataset.ground_truth_digest(), compute)
    return {"predictions_sha256": detections.digest(), "score_reused": not computed, **asdict(found)}
