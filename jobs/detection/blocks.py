"""The building blocks that a layer table names, with the parameter names of the public state dicts.

Batch normalisation has eps 1e-3 and momentum 0.03; neither stands in a state dict, and with torch's default
eps public weights give other numbers.
"""

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from jobs.detection.architectures import Activation, Kind, Layer

_BATCH_NORM_EPS = 1e-3
_BATCH_NORM_MOMENTUM = 0.03
_LEAKY_SLOPE = 0.1
_CENTRE_SPAN = 2.0


class Conv(nn.Module):
    """Convolution without bias, batch normalisation, activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPS, momentum=_BATCH_NORM_MOMENTUM)
        self.act = _activation(activation)

    def forward(self, value: Tensor) -> Tensor:
        """Return (batch, outputs, height / stride, width / stride)."""
        return torch.as_tensor(self.act(self.bn(self.conv(value))))

    def fuse(self) -> None:
        """Fold the normalisation into the convolution, for inference; the result differs by rounding only."""
        if not isinstance(self.bn, nn.BatchNorm2d):
            return
        self.conv = nn.utils.fusion.fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
        self.bn = nn.Identity()


class Concat(nn.Module):
    """Join several maps of equal height and width along their channels."""

    def forward(self, *values: Tensor) -> Tensor:
        """Return (batch, sum of channels, height, width)."""
        return torch.cat(values, 1)


class Detect(nn.Module):
    """The anchor-based head: one 1x1 convolution per level, decoded to boxes in pixels.

    Args:
        inputs: channels of each level.
        anchors: (levels, anchors, 2) in pixels of the input.
        strides: pixels per cell of each level.
    """

    anchors: Tensor
    anchor_grid: Tensor

    def __init__(self, inputs: list[int], number_of_classes: int, anchors: Tensor, strides: tuple[int, ...]) -> None:
        super().__init__()
        levels, self.number_of_anchors = anchors.shape[:2]
        self.number_of_outputs = number_of_classes + 5
        self.strides = strides
        per_stride = torch.tensor(strides, dtype=anchors.dtype).view(levels, 1, 1)
        self.register_buffer("anchors", anchors / per_stride)
        self.register_buffer("anchor_grid", anchors.view(levels, 1, -1, 1, 1, 2).clone())
        outputs = self.number_of_outputs * self.number_of_anchors
        self.m = nn.ModuleList(nn.Conv2d(channels, outputs, 1) for channels in inputs)

    def forward(self, *values: Tensor) -> list[Tensor]:
        """Return per level the raw output, (batch, anchors, height, width, 5 + classes)."""
        raw = []
        for convolution, value in zip(self.m, values, strict=True):
            found = convolution(value)
            batch, _, height, width = found.shape
            shape = (batch, self.number_of_anchors, self.number_of_outputs, height, width)
            raw.append(found.view(shape).permute(0, 1, 3, 4, 2))
        return raw

    def decode(self, raw: list[Tensor]) -> Tensor:
        """Return (batch, boxes, 5 + classes): centre x, y, width, height (px), objectness, class scores."""
        return torch.cat([self._decode_level(level, value) for level, value in enumerate(raw)], 1)

    def _decode_level(self, level: int, raw: Tensor) -> Tensor:
        batch, _, height, width, outputs = raw.shape
        score = raw.sigmoid()
        rows = torch.arange(height, dtype=score.dtype, device=score.device)
        columns = torch.arange(width, dtype=score.dtype, device=score.device)
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), 2)
        centre = (score[..., 0:2] * _CENTRE_SPAN - 0.5 + grid) * self.strides[level]
        size = (score[..., 2:4] * 2) ** 2 * self.anchor_grid[level]
        return torch.cat((centre, size, score[..., 4:]), -1).reshape(batch, -1, outputs)


def build(layer: Layer, inputs: int, outputs: int, activation: Activation) -> nn.Module:
    """Return the block of one table row other than the head.

    Args:
        layer: the row.
        inputs: channels that come in, summed over the sources.
        outputs: channels that go out, already scaled.
        activation: of convolutions.
    """
    match layer.kind:
        case Kind.CONV:
            return Conv(inputs, outputs, layer.kernel, layer.stride, activation)
        case Kind.CONCAT:
            return Concat()
        case Kind.MAX_POOL:
            return nn.MaxPool2d(layer.kernel, layer.stride)
        case Kind.SPATIAL_POOL:
            return nn.MaxPool2d(layer.kernel, 1, layer.kernel // 2)
        case Kind.UPSAMPLE:
            return nn.Upsample(scale_factor=layer.stride, mode="nearest")
        case Kind.DETECT:
            raise ValueError("the head is built from all its levels: use Detect")


def _activation(name: Activation) -> nn.Module:
    match name:
        case Activation.LEAKY_RELU:
            return nn.LeakyReLU(_LEAKY_SLOPE, inplace=True)
        case Activation.SILU:
            return nn.SiLU(inplace=True)
