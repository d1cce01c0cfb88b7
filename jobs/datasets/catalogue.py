"""Data sets by the name that a sweep file uses: `digits`, or a folder in COCO format."""

from pathlib import Path

from jobs.datasets import digits
from jobs.datasets.coco import coco_folder
from jobs.datasets.dataset import DetectionDataset


def dataset(name: str, *, base: Path = Path(), cache: Path | None = None) -> DetectionDataset:
    """Return a data set.

    Args:
        name: "digits", the 500 standard held-out canvases; else a folder in COCO format.
        base: folder to which a relative path is relative.
        cache: where made data are kept; by default the user's cache directory.

    Raises:
        WorkloadError: there is no such data set, or it is damaged.
    """
    if name == digits.NAME:
        return digits.digits(directory=cache)
    return coco_folder(base / Path(name).expanduser())


def dataset_digest(name: str, *, base: Path = Path()) -> str:
    """Return a data set's SHA-256 without decoding or making an image; see `dataset`.

    Raises:
        WorkloadError: there is no such data set, or it is damaged.
    """
    if name == digits.NAME:
        return digits.HELD_OUT_DIGEST
    return coco_folder(base / Path(name).expanduser()).digest
