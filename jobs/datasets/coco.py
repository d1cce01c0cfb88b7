"""A folder in COCO format as a data set: `images/…` and one `annotations/*.json` of boxes.

Images are taken by ascending id, which is the order in which the first N are chosen everywhere. An image is
decoded when it is asked for; who measures asks before the measured window.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jobs.datasets.dataset import DetectionDataset, Image
from sipa.errors import WorkloadError

_PREFERRED = "instances_"
_SECTIONS = ("images", "annotations", "categories")


def coco_folder(folder: Path) -> DetectionDataset:
    """Return the data set of a folder.

    Args:
        folder: holds `annotations/<name>.json` and the images, anywhere below `images/` or below itself.

    Raises:
        WorkloadError: the folder, its annotations or an image is missing, or the annotations are damaged.
    """
    annotations = annotation_file(folder)
    truth = _read(annotations)
    images = sorted(truth["images"], key=lambda image: int(image["id"]))
    paths = _paths(folder, annotations, [str(image["file_name"]) for image in images])
    return DetectionDataset(
        name=str(folder),
        digest=_digest(annotations, paths),
        image_ids=tuple(int(image["id"]) for image in images),
        category_ids=tuple(sorted(int(one["id"]) for one in truth["categories"])),
        ground_truth=truth | {"images": images},
        load=_loader(tuple(paths)),
    )


def annotation_file(folder: Path) -> Path:
    """Return the folder's one file of boxes; of several, `instances_*.json`.

    Raises:
        WorkloadError: there is no such folder, no such file, or more than one that could be meant.
    """
    if not folder.is_dir():
        raise WorkloadError(f"data set {folder}: no such folder. Give a folder in COCO format, or 'digits'")
    found = sorted((folder / "annotations").glob("*.json"))
    if len(found) > 1:
        found = [path for path in found if path.name.startswith(_PREFERRED)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise WorkloadError(
            f"data set {folder}: expected exactly one annotations/*.json of boxes (or one "
            f"annotations/{_PREFERRED}*.json beside others), found {names}"
        )
    return found[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WorkloadError(f"{path}: cannot be read as COCO annotations ({error})") from error
    missing = [key for key in _SECTIONS if not isinstance(found, dict) or not isinstance(found.get(key), list)]
    if missing:
        raise WorkloadError(f"{path}: not COCO annotations: no list {', '.join(map(repr, missing))}")
    if not found["images"]:
        raise WorkloadError(f"{path}: there are no images in it")
    _check_references(found, path)
    for position, annotation in enumerate(found["annotations"]):
        box = annotation.get("bbox", ())
        annotation.setdefault("iscrowd", 0)
        annotation.setdefault("area", box[2] * box[3])
        annotation["id"] = position + 1  # pycocotools takes id 0 for "not matched".
    return dict(found)


def _check_references(found: dict[str, Any], path: Path) -> None:
    try:
        images = {int(image["id"]) for image in found["images"]}
        categories = {int(one["id"]) for one in found["categories"]}
        for image in found["images"]:
            str(image["file_name"])
        for number, one in enumerate(found["annotations"]):
            if len([float(value) for value in one["bbox"]]) != 4:
                raise ValueError(f"annotations[{number}].bbox")
            if one["image_id"] not in images or one["category_id"] not in categories:
                raise WorkloadError(
                    f"{path}: annotations[{number}] names image {one['image_id']} and category "
                    f"{one['category_id']}, of which the file knows at most one"
                )
    except (KeyError, TypeError, ValueError) as error:
        raise WorkloadError(f"{path}: an entry is incomplete or of another type ({error!r})") from error


def _paths(folder: Path, annotations: Path, names: list[str]) -> list[Path]:
    """Return where each image lies; COCO names are relative to a folder that the file does not name."""
    split = annotations.stem.removeprefix(_PREFERRED)
    roots = [folder / "images" / split, folder / "images", folder / split, folder]
    root = next((each for each in roots if (each / names[0]).is_file()), None)
    if root is None:
        tried = ", ".join(str(each) for each in roots)
        raise WorkloadError(f"data set {folder}: image {names[0]} is in none of {tried}. Unpack the images there")
    return [root / name for name in names]


def _digest(annotations: Path, paths: list[Path]) -> str:
    """Return SHA-256 over the annotations and every image's name and size.

    Sizes stand for contents: hashing the 800 MB of COCO's validation images would take longer than a trial.
    """
    found = hashlib.sha256(annotations.read_bytes())
    for path in paths:
        try:
            found.update(f"\n{path.name} {path.stat().st_size}".encode())
        except OSError as error:
            raise WorkloadError(
                f"{path}: the image that {annotations.name} names is missing ({error.strerror}). "
                "Unpack all images, or take it out of the annotations"
            ) from error
    return found.hexdigest()


def _loader(paths: tuple[Path, ...]) -> Callable[[int], Image]:
    def load(position: int) -> Image:
        return decode(paths[position])

    return load


def decode(path: Path) -> Image:
    """Return an image file as (height, width, 3) uint8 RGB; orientation tags are ignored, as COCO's boxes do.

    Raises:
        WorkloadError: the file is missing, or no image that OpenCV can decode.
    """
    import cv2

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        found = cv2.imdecode(np.fromfile(path, dtype=np.uint8), flags)
    except (OSError, cv2.error) as error:
        raise WorkloadError(f"{path}: cannot be read ({error}). Restore the file") from error
    if found is None:
        raise WorkloadError(f"{path}: cannot be decoded as an image. Restore the file, or take it out of the set")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), dtype=np.uint8)
