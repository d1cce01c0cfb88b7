"""Scores kept on disk, so that equal detections are scored once.

Scoring costs more than detecting for small networks, and repetitions put out the same boxes. The key holds
all that a score depends on: the detections, the ground truth of exactly the images used, the scorer.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.detection.scoring import SCORER_VERSION, Scores


@dataclass(frozen=True, slots=True)
class ScoreCache:
    """A folder of scores, one small file each; several processes may share it."""

    directory: Path

    def get_or(self, detections: str, ground_truth: str, compute: Callable[[], Scores]) -> Scores:
        """Return the kept score, or compute and keep it.

        Args:
            detections: `Detections.digest()`.
            ground_truth: `DetectionDataset.ground_truth_digest()`.
            compute: called only where nothing readable is kept.
        """
        path = self._path(detections, ground_truth)
        kept = _read(path)
        if kept is not None:
            return kept
        found = compute()
        self.directory.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(json.dumps(asdict(found)))
        aside.replace(path)
        return found

    def _path(self, detections: str, ground_truth: str) -> Path:
        key = hashlib.sha256(f"{SCORER_VERSION} {detections} {ground_truth}".encode()).hexdigest()
        return self.directory / f"score-{key}.json"


def _read(path: Path) -> Scores | None:
    """Return what is kept, or None if there is nothing or it is damaged: it can always be computed."""
    try:
        return Scores(**{key: float(value) for key, value in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
