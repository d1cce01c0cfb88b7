"""A network built from a layer table, which gives up every activation at its last use.

Keeping all layer outputs, as the plain way does, costs two to three times the memory (100 instead of 40 MB
per 640-pixel image for the tiny variant) and changes no result.
"""

from collections.abc import Sequence
from typing import cast

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from jobs.detection.architectures import Anchors, Architecture, Kind, resolved, scaled
from jobs.detection.blocks import Conv, Detect, build

_IMAGE = -1


class Network(nn.Module):
    """One YOLOv7 graph.

    Args:
        architecture: its layer table.
        number_of_classes: of the head.
        width: multiplies the channels of every layer but the head's outputs.
        anchors: in pixels; the architecture's own by default.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        number_of_classes: int,
        width: float = 1.0,
        anchors: Anchors | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.number_of_classes = number_of_classes
        self.width = width
        layers = architecture.layers
        self._sources = [resolved(layer, index) for index, layer in enumerate(layers)]
        self._released = _released(self._sources)
        boxes = torch.tensor(anchors or architecture.anchors, dtype=torch.float32)
        self.model = nn.ModuleList(self._build(boxes))

    def _build(self, anchors: Tensor) -> list[nn.Module]:
        channels: dict[int, int] = {_IMAGE: 3}
        blocks: list[nn.Module] = []
        for index, layer in enumerate(self.architecture.layers):
            inputs = [channels[source] for source in self._sources[index]]
            if layer.kind is Kind.DETECT:
                strides = self.architecture.strides
                blocks.append(Detect(inputs, self.number_of_classes, anchors, strides))
                continue
            channels[index] = scaled(layer.channels, self.width) if layer.channels else sum(inputs)
            blocks.append(build(layer, sum(inputs), channels[index], self.architecture.activation))
        return blocks

    @property
    def head(self) -> Detect:
        """The detection head, the table's last row."""
        return cast(Detect, self.model[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the head's raw output per level.

        Args:
            images: (batch, 3, height, width) in 0..1, RGB; height and width multiples of the largest stride.
        """
        alive: dict[int, Tensor] = {_IMAGE: images}
        for index, block in enumerate(self.model):
            values = [alive[source] for source in self._sources[index]]
            for source in self._released[index]:
                del alive[source]
            result = block(*values)
            if index == len(self.model) - 1:
                return list(result)
            alive[index] = result
        raise ValueError(f"the table of {self.architecture.name} has no head")

    def predict(self, images: Tensor) -> Tensor:
        """Return decoded predictions, (batch, boxes, 5 + classes); see `Detect.decode`."""
        return self.head.decode(self(images))

    def fuse(self) -> "Network":
        """Fold every batch normalisation into its convolution and return the same network, for inference."""
        for block in self.model:
            if isinstance(block, Conv):
                block.fuse()
        return self.eval()

    def parameter_count(self) -> int:
        """Return the number of trainable values."""
        return sum(parameter.numel() for parameter in self.parameters())


def _released(sources: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return for each layer which activations nobody needs after it."""
    last = {source: index for index, needed in enumerate(sources) for source in needed}
    return [tuple(s for s in dict.fromkeys(needed) if last[s] == i) for i, needed in enumerate(sources)]
