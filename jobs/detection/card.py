"""The card beside a weights file: what it is, how accurate on held-out data, and the command that made it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.detection.checkpoint import Header
from jobs.detection.scoring import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """How good exported weights are, and on what.

    Attributes:
        dataset: name of the data set.
        digest: its SHA-256.
        images: how many.
        scores: of the fp16 file as it is on disk, fused, run in fp32.
    """

    dataset: str
    digest: str
    images: int
    scores: Scores


def write_card(
    path: Path,
    header: Header,
    *,
    parameters: int,
    parameters_fused: int,
    evaluated: Evaluated,
    training: dict[str, Any],
) -> Path:
    """Write the card of a weights file beside it.

    Args:
        path: the weights file; the card has the same name, ending in .json.
        header: of the weights file.
        parameters: trainable values before fusing.
        parameters_fused: and after.
        evaluated: the accuracy to publish.
        training: command, data, seed and what else made it; kept as given.
    """
    content = path.read_bytes()
    card = {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "architecture": header.architecture,
        "width": header.width,
        "parameters": parameters,
        "parameters_fused": parameters_fused,
        "image_size": header.image_size,
        "classes": list(header.classes),
        "dataset": {
            "name": evaluated.dataset,
            "held_out_sha256": evaluated.digest,
            "images": evaluated.images,
        },
        "accuracy": asdict(evaluated.scores),
        "training": training,
    }
    where = path.with_suffix(".json")
    where.write_text(json.dumps(card, indent=2) + "\n")
    return where
