"""Small untrained networks and their files for tests."""

from pathlib import Path

import torch  # noqa: TID253

from jobs.detection.architectures import YOLOV7_TINY
from jobs.detection.checkpoint import Header, save
from jobs.detection.network import Network
from jobs.detection.training import prime_head

HEADER = Header(
    architecture="yolov7-tiny",
    width=0.125,
    classes=tuple("0123456789"),
    anchors=(
        ((9.5, 15.25), (13.0, 20.0), (15.0, 27.5)),
        ((21.0, 28.0), (21.0, 37.0), (28.0, 39.0)),
        ((25.0, 48.0), (33.0, 51.0), (42.0, 55.0)),
    ),
    image_size=64,
)


def small(seed: int = 0) -> Network:
    """Return the narrowest network with seeded values."""
    torch.manual_seed(seed)
    network = Network(YOLOV7_TINY, number_of_classes=10, width=HEADER.width, anchors=HEADER.anchors)
    prime_head(network, HEADER.image_size)
    return network.eval()


def saved(path: Path, seed: int = 0) -> Path:
    """Write such a network as a weights file."""
    save(small(seed), HEADER, path)
    return path
