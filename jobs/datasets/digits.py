"""The built-in `digits` detection set: real handwritten digits on textured canvases, made from a seed.

The 1,797 digits of scikit-learn (UCI, Alpaydin and Kaynak 1998) are split once into 1,297 for training and
500 held out; a canvas uses digits of one part only. The split, the canvases and so `HELD_OUT_DIGEST` come
from integer arithmetic alone, so that every machine measures on the same bytes. Once a set is in the cache,
scikit-learn is not imported any more.
"""

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from enum import StrEnum
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.canvas import SIDE, Placed, compose
from jobs.datasets.dataset import DetectionDataset, Image
from jobs.datasets.streams import Stream
from sipa.errors import WorkloadError

NAME = "digits"
VERSION = 1
HELD_OUT_COUNT = 500
HELD_OUT_SEED = 20241207
HELD_OUT_DIGEST = "d40b45bc7c977ff49346662b9747dc32a0c362fd9b7226bda4db1d8eb3d33851"
SOURCE_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"

TRAIN_GLYPHS = 1297
_SPLIT_SEED = 8
_CHUNK = 250
_IMAGES = "images.npy"
_ANNOTATIONS = "annotations.json"

Boxes = tuple[Placed, ...]


class Split(StrEnum):
    """Which of the handwritten digits stand on the canvases."""

    TRAIN = "train"
    HELD_OUT = "held-out"


def digits(
    split: Split = Split.HELD_OUT,
    *,
    count: int = HELD_OUT_COUNT,
    seed: int = HELD_OUT_SEED,
    directory: Path | None = None,
    workers: int = 1,
) -> DetectionDataset:
    """Return a digits set, made on the first call and read from the cache afterwards.

    Args:
        split: training or held-out digits.
        count: number of canvases, 1 or more; each is 192 x 192 px with one to eight digits.
        seed: canvases of different seeds share nothing but the digits.
        directory: the cache; by default `$XDG_CACHE_HOME/sipa-cluster` or `~/.cache/sipa-cluster`.
        workers: processes that make canvases, where there is nothing in the cache; the result is the same.

    Raises:
        ValueError: no canvases asked for.
        WorkloadError: scikit-learn's digits are not those that the digests belong to, or the cache cannot be
            written.
    """
    if count < 1:
        raise ValueError(f"digits needs at least one canvas (got {count})")
    where = (directory or cache_directory()) / f"{NAME}-v{VERSION}-{split}-{count}-{seed}"
    expected = HELD_OUT_DIGEST if is_standard(split, count, seed) else None
    found = _read(where, expected)
    if found is None:
        images, truth = generate(split, count=count, seed=seed, workers=workers)
        _keep(where, images, truth)
        found = images, truth, digest(images, truth)
    return _dataset(*found)


def is_standard(split: Split, count: int, seed: int) -> bool:
    """Return whether this is the evaluation set that `HELD_OUT_DIGEST` belongs to."""
    return (split, count, seed) == (Split.HELD_OUT, HELD_OUT_COUNT, HELD_OUT_SEED)


def cache_directory() -> Path:
    """Return the user's cache directory for made data (XDG Base Directory Specification 0.8)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sipa-cluster"


def generate(split: Split, *, count: int, seed: int, workers: int = 1) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Make the first canvases of a seed, without any cache; a smaller count gives a part of a larger one's.

    Returns:
        (count, 192, 192, 3) uint8 RGB and the COCO dictionary; image ids are positions + 1.
    """
    starts = range(0, count, _CHUNK)
    job = partial(_chunk, split, seed, count)
    if workers == 1 or count <= _CHUNK:
        chunks = list(map(job, starts))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            chunks = list(pool.map(job, starts))
    labels = source()[1][split_indices(split)]
    boxes = [placed for _, chunk in chunks for placed in chunk]
    return np.concatenate([images for images, _ in chunks]), _coco(boxes, labels)


def _chunk(split: Split, seed: int, count: int, start: int) -> tuple[NDArray[np.uint8], list[Boxes]]:
    glyphs = source()[0][split_indices(split)]
    positions = range(start, min(start + _CHUNK, count))
    images = np.empty((len(positions), SIDE, SIDE, 3), dtype=np.uint8)
    boxes: list[Boxes] = []
    for row, position in enumerate(positions):
        images[row], placed = compose(Stream(VERSION, seed, list(Split).index(split), position), glyphs)
        boxes.append(placed)
    return images, boxes


def source() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return scikit-learn's digits, (1797, 8, 8) with values 0..16, and their labels 0..9.

    Raises:
        WorkloadError: their bytes are not the expected ones.
    """
    glyphs, labels = _source()
    found = hashlib.sha256(glyphs.tobytes() + labels.tobytes()).hexdigest()
    if found != SOURCE_SHA256:
        raise WorkloadError(
            f"scikit-learn's digits have SHA-256 {found}, expected {SOURCE_SHA256}: this version ships other "
            "data than the digests belong to. Install the scikit-learn that pyproject.toml asks for"
        )
    return glyphs, labels


@cache
def _source() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.ascontiguousarray(found.images.astype(np.uint8)), found.target.astype(np.uint8)


def split_indices(split: Split) -> NDArray[np.int64]:
    """Return which of the 1,797 digits belong to a part, ascending; the parts are disjoint."""
    order = np.argsort(Stream(_SPLIT_SEED).words(1797), kind="stable")
    part = order[:TRAIN_GLYPHS] if split is Split.TRAIN else order[TRAIN_GLYPHS:]
    return np.sort(part)


def digest(images: NDArray[np.uint8], truth: dict[str, Any]) -> str:
    """Return the SHA-256 over the pixels and the annotations."""
    text = json.dumps(truth, sort_keys=True, separators=(",", ":"))
    found = hashlib.sha256(np.ascontiguousarray(images).data)
    found.update(text.encode())
    return found.hexdigest()


def _coco(boxes: list[Boxes], labels: NDArray[np.uint8]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for position, placed in enumerate(boxes, start=1):
        name = f"{position:06d}.png"
        images.append({"id": position, "width": SIDE, "height": SIDE, "file_name": name})
        for one in placed:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": position,
                    "category_id": int(labels[one.glyph]),
                    "bbox": [one.x, one.y, one.width, one.height],
                    "area": one.width * one.height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": digit, "name": str(digit), "supercategory": "digit"} for digit in range(10)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _dataset(images: NDArray[np.uint8], truth: dict[str, Any], found: str) -> DetectionDataset:
    def load(position: int) -> Image:
        return np.asarray(images[position])

    return DetectionDataset(
        name=NAME,
        digest=found,
        image_ids=tuple(one["id"] for one in truth["images"]),
        category_ids=tuple(one["id"] for one in truth["categories"]),
        ground_truth=truth,
        load=load,
    )


def _read(where: Path, expected: str | None) -> tuple[NDArray[np.uint8], dict[str, Any], str] | None:
    """Return what the cache holds, or None if there is nothing or it is damaged."""
    try:
        images = np.load(where / _IMAGES)
        stored = json.loads((where / _ANNOTATIONS).read_text())
    except (OSError, ValueError, EOFError):
        return None
    found = digest(images, stored["truth"])
    if found != stored["digest"] or (expected is not None and found != expected):
        return None
    return images, stored["truth"], found


def _keep(where: Path, images: NDArray[np.uint8], truth: dict[str, Any]) -> None:
    try:
        _write(where, images, truth)
    except OSError as error:
        raise WorkloadError(
            f"{where.parent}: the digits data set cannot be kept there ({error.strerror}). "
            "Make room, or set XDG_CACHE_HOME to a folder that can be written"
        ) from error


def _write(where: Path, images: NDArray[np.uint8], truth: dict[str, Any]) -> None:
    """Write aside, then rename, so that a reader sees a whole set or none; the first of two writers wins."""
    where.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=where.parent, prefix=f".{where.name}-"))
    np.save(aside / _IMAGES, images)
    (aside / _ANNOTATIONS).write_text(json.dumps({"digest": digest(images, truth), "truth": truth}))
    shutil.rmtree(where, ignore_errors=True)
    try:
        aside.rename(where)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        if not where.is_dir():
            raise
