"""What every detection data set offers: images one by one, and ground truth as a COCO dictionary.

Images are uint8, height x width x 3, in RGB order (not OpenCV's BGR), so that nothing downstream has to ask.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionDataset:
    """Images with boxes, in a fixed order: ascending image id.

    Attributes:
        name: how a sweep file calls it.
        digest: SHA-256 of the *whole* data set, also on a subset made by `first`, because it says what the
            data are; how many of them are used is a parameter of its own.
        image_ids: id of each image, ascending.
        category_ids: COCO category id of each class index that a model puts out, ascending.
        ground_truth: COCO dictionary (images, annotations, categories) of exactly these images.
        load: position -> (height, width, 3) uint8 RGB.
    """

    name: str
    digest: str
    image_ids: tuple[int, ...]
    category_ids: tuple[int, ...]
    ground_truth: dict[str, Any]
    load: Callable[[int], Image]

    def __len__(self) -> int:
        return len(self.image_ids)

    def image(self, position: int) -> Image:
        """Return one image, (height, width, 3) uint8 RGB.

        Raises:
            IndexError: there is no such position.
        """
        if not 0 <= position < len(self.image_ids):
            raise IndexError(f"{self.name} has {len(self)} images, there is no position {position}")
        return self.load(position)

    def images(self) -> Iterator[Image]:
        """Yield every image in order."""
        return (self.load(position) for position in range(len(self)))

    def first(self, count: int) -> "DetectionDataset":
        """Return the first `count` images by ascending id, with their annotations only.

        Raises:
            ValueError: fewer images than that, or none asked for.
        """
        if not 1 <= count <= len(self):
            raise ValueError(f"{self.name} has {len(self)} images; asked for the first {count}")
        kept = set(self.image_ids[:count])
        truth = dict(self.ground_truth)
        truth["images"] = [one for one in truth["images"] if one["id"] in kept]
        truth["annotations"] = [one for one in truth["annotations"] if one["image_id"] in kept]
        return replace(self, image_ids=self.image_ids[:count], ground_truth=truth)

    def ground_truth_digest(self) -> str:
        """Return the SHA-256 of what detections on exactly these images are compared with."""
        parts = {key: self.ground_truth[key] for key in ("images", "annotations", "categories")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
