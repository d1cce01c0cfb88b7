"""The layer tables of the YOLOv7 family: facts about the published graphs, no code of theirs and no torch.

Indices are those of the public state dicts (`model.<index>.…`), so that public weights load by key; therefore
a layer is never inserted, merged or dropped here, however redundant it looks.
Source: the deploy configurations of "YOLOv7" (Wang, Bochkovskiy, Liao, CVPR 2023).
"""

from dataclasses import dataclass
from enum import StrEnum

Anchors = tuple[tuple[tuple[float, float], ...], ...]
"""(level, anchor, (width, height)) in pixels at the image size they were made for."""

_MULTIPLE = 8


class Kind(StrEnum):
    """What a layer does; `blocks.py` builds one for each."""

    CONV = "conv"
    CONCAT = "concat"
    MAX_POOL = "max-pool"
    SPATIAL_POOL = "spatial-pool"
    UPSAMPLE = "upsample"
    DETECT = "detect"


class Activation(StrEnum):
    """The one activation of an architecture's convolutions."""

    LEAKY_RELU = "leaky-relu"
    SILU = "silu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One row of a table.

    Attributes:
        sources: which layers feed it; below 0 counted back from this one, -1 is the one before.
        channels: what it puts out (convolutions), 0 where its input decides.
        kernel: side of the window in pixels.
        stride: step of the window.
    """

    kind: Kind
    sources: tuple[int, ...] = (-1,)
    channels: int = 0
    kernel: int = 1
    stride: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One graph of the family.

    Attributes:
        layers: in the order of the public indices; the last one is the head.
        anchors: of the published weights, in pixels at `image_size`.
        strides: pixels of the input per cell of each level of the head.
        image_size: native side of the input in pixels.
    """

    name: str
    layers: tuple[Layer, ...]
    activation: Activation
    anchors: Anchors
    strides: tuple[int, ...]
    image_size: int


def scaled(channels: int, width: float) -> int:
    """Return a channel count times `width`, as a multiple of 8 and at least 8; unchanged where width is 1."""
    if width == 1:
        return channels
    return max(_MULTIPLE, int(channels * width / _MULTIPLE + 0.5) * _MULTIPLE)


def resolved(layer: Layer, index: int) -> tuple[int, ...]:
    """Return the absolute indices of a layer's sources; -1 stands for the image."""
    return tuple(source if source >= 0 else index + source for source in layer.sources)


def _conv(channels: int, kernel: int = 1, stride: int = 1, source: int = -1) -> Layer:
    return Layer(kind=Kind.CONV, sources=(source,), channels=channels, kernel=kernel, stride=stride)


def _concat(*sources: int) -> Layer:
    return Layer(kind=Kind.CONCAT, sources=sources)


def _spatial_pool(kernel: int, source: int) -> Layer:
    return Layer(kind=Kind.SPATIAL_POOL, sources=(source,), kernel=kernel)


def _short_elan(inner: int, outer: int) -> tuple[Layer, ...]:
    """The tiny variant's aggregation block: four branches of growing depth, joined by one 1x1 convolution."""
    branches = (_conv(inner), _conv(inner, source=-2), _conv(inner, 3), _conv(inner, 3))
    return (*branches, _concat(-1, -2, -3, -4), _conv(outer))


_POOL = Layer(kind=Kind.MAX_POOL, kernel=2, stride=2)
_UPSAMPLE = Layer(kind=Kind.UPSAMPLE, stride=2)

YOLOV7_TINY = Architecture(
    name="yolov7-tiny",
    layers=(
        *(_conv(32, 3, 2), _conv(64, 3, 2), *_short_elan(32, 64)),
        *(_POOL, *_short_elan(64, 128), _POOL, *_short_elan(128, 256), _POOL, *_short_elan(256, 512)),
        *(_conv(256), _conv(256, source=-2), _spatial_pool(5, -1), _spatial_pool(9, -2)),
        *(_spatial_pool(13, -3), _concat(-1, -2, -3, -4), _conv(256), _concat(-1, -7), _conv(256)),
        *(_conv(128), _UPSAMPLE, _conv(128, source=21), _concat(-1, -2), *_short_elan(64, 128)),
        *(_conv(64), _UPSAMPLE, _conv(64, source=14), _concat(-1, -2), *_short_elan(32, 64)),
        *(_conv(128, 3, 2), _concat(-1, 47), *_short_elan(64, 128)),
        *(_conv(256, 3, 2), _concat(-1, 37), *_short_elan(128, 256)),
        *(_conv(128, 3, source=57), _conv(256, 3, source=65), _conv(512, 3, source=73)),
        Layer(kind=Kind.DETECT, sources=(74, 75, 76)),
    ),
    activation=Activation.LEAKY_RELU,
    anchors=(
        ((10, 13), (16, 30), (33, 23)),
        ((30, 61), (62, 45), (59, 119)),
        ((116, 90), (156, 198), (373, 326)),
    ),
    strides=(8, 16, 32),
    image_size=640,
)

ARCHITECTURES = {one.name: one for one in (YOLOV7_TINY,)}
"""Every architecture by name."""
