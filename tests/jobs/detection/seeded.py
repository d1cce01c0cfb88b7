"""Weights and inputs from a rule alone, so that another implementation of the same graph can be compared by value.

The rule is that of the reference values in tests/data/yolov7: each tensor is drawn from
`numpy.random.RandomState(crc32(its key))` in a range that depends on what the key ends with.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

TINY_GAIN = 2.0


def value(key: str, shape: tuple[int, ...], detect_index: int) -> NDArray[np.float32]:
    """Return the tensor of one state-dict key."""
    random = np.random.RandomState(zlib.crc32(key.encode("ascii")))
    head = key.startswith(f"model.{detect_index}.")
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    if len(shape) == 4:
        gain = 1.0 if head else TINY_GAIN
        found = random.standard_normal(shape) * np.sqrt(gain / np.prod(shape[1:]))
    else:
        low, high = _range(key, head)
        found = random.uniform(low, high, shape)
    return found.astype(np.float32)


def _range(key: str, head: bool) -> tuple[float, float]:
    if key.endswith("running_mean"):
        return -0.2, 0.2
    if key.endswith("running_var"):
        return 0.8, 1.2
    if key.endswith("weight"):
        return 0.9, 1.1
    return (-1.0, 1.0) if head else (-0.5, 0.5)


def images(count: int = 2, height: int = 256, width: int = 320) -> NDArray[np.float32]:
    """Return blocks of noise with finer noise on top, (count, 3, height, width) of 0..1."""
    random = np.random.RandomState(0)
    blocks = random.rand(count, 3, height // 32, width // 32).repeat(32, 2).repeat(32, 3)
    return (0.8 * blocks + 0.2 * random.rand(count, 3, height, width)).astype(np.float32)


def predictions(seed: int, count: int, classes: int, side: int = 640) -> NDArray[np.float32]:
    """Return raw detector rows (count, 5 + classes) in clusters of overlapping boxes."""
    clusters = 40
    random = np.random.RandomState(seed)
    centres = random.rand(clusters, 4) * [side, side, 150, 150] + [0, 0, 20, 20]
    boxes = centres[random.randint(0, clusters, count)] + random.standard_normal((count, 4)) * 6
    boxes[:, 2:] = np.abs(boxes[:, 2:]) + 1
    objectness = random.rand(count, 1) ** 3
    scores = random.rand(count, classes) ** 8
    return np.concatenate([boxes, objectness, scores], 1).astype(np.float32)
