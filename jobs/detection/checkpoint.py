"""Weights on disk: fp16 safetensors whose header says which network they belong to.

Normalisation stays unfused and keys are the public ones, so that a file can be trained on, and so that the
same loader serves weights of the published graphs.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.detection.architectures import ARCHITECTURES, Anchors
from sipa.errors import WorkloadError

FORMAT = "sipa-cluster-detection-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a weights file says about itself.

    Attributes:
        architecture: name of the layer table.
        width: multiplier of its channels.
        classes: names by class index.
        anchors: in pixels at `image_size`.
        image_size: native side of the input in pixels.
    """

    architecture: str
    width: float
    classes: tuple[str, ...]
    anchors: Anchors
    image_size: int

    def to_metadata(self) -> dict[str, str]:
        """Return the header as safetensors metadata: strings only."""
        return {
            "format": FORMAT,
            "architecture": self.architecture,
            "width": repr(self.width),
            "classes": json.dumps(self.classes),
            "anchors": json.dumps(self.anchors),
            "image_size": str(self.image_size),
        }


def parse_header(metadata: dict[str, str] | None, path: Path) -> Header:
    """Return the header from safetensors metadata.

    Raises:
        WorkloadError: a key is missing, not to be read, or names an architecture that does not exist.
    """
    if not metadata or metadata.get("format") != FORMAT:
        raise WorkloadError(
            f"{path}: the safetensors header lacks format = {FORMAT!r}, so the network is unknown. "
            "Write weights with jobs.detection.checkpoint.save or python -m jobs.detection.train"
        )
    try:
        header = Header(
            architecture=metadata["architecture"],
            width=float(metadata["width"]),
            classes=tuple(json.loads(metadata["classes"])),
            anchors=_anchors(json.loads(metadata["anchors"])),
            image_size=int(metadata["image_size"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise WorkloadError(f"{path}: damaged safetensors header ({error!r}): export the weights anew") from error
    if header.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WorkloadError(f"{path}: unknown architecture {header.architecture!r}; known: {known}")
    return header


def _anchors(raw: list[list[list[float]]]) -> Anchors:
    return tuple(tuple((float(w), float(h)) for w, h in level) for level in raw)


def read_header(path: Path) -> Header:
    """Return what a weights file says about itself, without reading its tensors.

    Raises:
        WorkloadError: there is no such file, or it is not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return parse_header(file.metadata(), path)
    except (OSError, SafetensorError) as error:
        raise WorkloadError(f"{path}: cannot be read as safetensors weights ({error})") from error


def load(path: Path) -> tuple[Any, Header]:
    """Return the network, fp32 and in evaluation mode, and the file's header.

    Raises:
        WorkloadError: the file is missing or damaged, or its tensors are not those of its architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from jobs.detection.network import Network

    header = read_header(path)
    network = Network(
        ARCHITECTURES[header.architecture],
        number_of_classes=len(header.classes),
        width=header.width,
        anchors=header.anchors,
    )
    anchors = {key: value for key, value in network.state_dict().items() if "anchor" in key}
    try:
        network.load_state_dict(anchors | load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WorkloadError(f"{path}: tensors do not fit {header.architecture}: {error}") from error
    return network.eval(), header


def save(network: Any, header: Header, path: Path) -> None:
    """Write a network as fp16 safetensors, aside first, then renamed; anchors go to the header, exactly."""
    from safetensors.torch import save_file

    state = {}
    for key, value in network.state_dict().items():
        if "anchor" not in key:
            state[key] = (value.half() if value.is_floating_point() else value).contiguous()
    aside = path.with_name(f".{path.name}.part")
    save_file(state, aside, metadata=header.to_metadata())
    aside.chmod(0o644)
    aside.replace(path)
