"""From an image of any size to the square that the network sees, and boxes back again.

The rules are those of the public evaluation, with their oddities: the long side is scaled to the input size
also upwards, fractions are cut off, and the *height's* ratio scales both axes back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAD_VALUE = 114
"""Grey level of the margin."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an image lies on the square.

    Attributes:
        height: of the original image in pixels.
        width: of the original image in pixels.
        gain: pixels of the square per pixel of the original.
        pad_x: margin on the left, before rounding to whole pixels.
        pad_y: margin on top, likewise.
    """

    height: int
    width: int
    gain: float
    pad_x: float
    pad_y: float


def letterbox(image: Image, size: int) -> tuple[Image, Placement]:
    """Scale an image to fit a square and centre it on grey.

    Args:
        image: (height, width, 3) uint8.
        size: side of the square in pixels.

    Returns:
        (size, size, 3) uint8 and where the image lies on it.
    """
    height, width = image.shape[:2]
    scaled = _resized(image, size)
    pad_x, pad_y = (size - scaled.shape[1]) / 2, (size - scaled.shape[0]) / 2
    place = Placement(height=height, width=width, gain=scaled.shape[0] / height, pad_x=pad_x, pad_y=pad_y)
    if scaled.shape[:2] == (size, size):
        return scaled, place
    square = np.full((size, size, 3), PAD_VALUE, dtype=np.uint8)
    left, top = round(pad_x - 0.1), round(pad_y - 0.1)
    square[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return square, place


def _resized(image: Image, size: int) -> Image:
    import cv2

    height, width = image.shape[:2]
    ratio = size / max(height, width)
    if ratio == 1:
        return image
    target = (max(1, int(width * ratio)), max(1, int(height * ratio)))
    interpolation = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, target, interpolation=interpolation), dtype=np.uint8)


def to_square(boxes: NDArray[np.float32], place: Placement) -> NDArray[np.float32]:
    """Return boxes of the original image, (n, 4) x y x y, in pixels of the square."""
    pad = np.array([place.pad_x, place.pad_y] * 2, dtype=np.float32)
    return boxes * np.float32(place.gain) + pad


def to_original(boxes: NDArray[np.float32], place: Placement) -> NDArray[np.float32]:
    """Return boxes of the square, (n, 4) x y x y, in pixels of the original image, clipped to it."""
    pad = np.array([place.pad_x, place.pad_y] * 2, dtype=np.float32)
    limit = np.array([place.width, place.height] * 2, dtype=np.float32)
    return np.asarray(np.clip((boxes - pad) / np.float32(place.gain), 0, limit), dtype=np.float32)
