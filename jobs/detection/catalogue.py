"""The weights that there are: those shipped, by name, and any file of the same kind, by path.

Cards beside the weights are the one source, so that a name never points at numbers of another file. This
module imports neither torch nor OpenCV: a plan needs names, hashes and sizes only.
"""

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from jobs.detection.checkpoint import read_header
from sipa.errors import WorkloadError

SHIPPED = Path(__file__).parent / "weights"
_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Trained weights of one network.

    Attributes:
        name: of shipped weights, else the path as given.
        path: the safetensors file.
        sha256: of the file.
        size_bytes: of the file.
        architecture: name of the layer table.
        width: multiplier of its channels.
        image_size: native side of the input in pixels.
        classes: names by class index.
        dataset: name of the data set whose held-out part `map_50_95` is of; None for a file without a card.
        map_50_95: COCO AP of 0..1; None for a file without a card.
        parameters: trainable values; None for a file without a card.
    """

    name: str
    path: Path
    sha256: str
    size_bytes: int
    architecture: str
    width: float
    image_size: int
    classes: tuple[str, ...]
    dataset: str | None = None
    map_50_95: float | None = None
    parameters: int | None = None


def shipped(directory: Path = SHIPPED) -> dict[str, Weights]:
    """Return all weights of a folder with cards, by name, smallest AP first."""
    found = [_from_card(card) for card in sorted(directory.glob("*.json"))]
    return {one.name: one for one in sorted(found, key=lambda one: one.map_50_95 or 0.0)}


def find(name: str, directory: Path = SHIPPED, *, base: Path = Path()) -> Weights:
    """Return weights by shipped name or by the path of a .safetensors file.

    Args:
        name: the name or the path.
        directory: where the shipped weights and their cards are.
        base: folder to which a relative path is relative.

    Raises:
        WorkloadError: there are none of that name, with the nearest one; or the file cannot be used.
    """
    if name.endswith(_SUFFIX):
        return _from_file(name, base)
    known = shipped(directory)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise WorkloadError(
        f"weights {name!r}: unknown.{hint} Known: {', '.join(known)}; or give the path of a {_SUFFIX} file"
    )


def verify(weights: Weights) -> None:
    """Check the file against its recorded hash.

    Raises:
        WorkloadError: it is missing or has changed.
    """
    found = _sha256(weights.path)
    if found != weights.sha256:
        raise WorkloadError(
            f"{weights.path}: SHA-256 is {found}, its card says {weights.sha256}: the file is damaged or was "
            "replaced. Restore it, or train it anew with the command in its card"
        )


def _from_card(card: Path) -> Weights:
    try:
        found = json.loads(card.read_text())
        return Weights(
            name=found["name"],
            path=card.parent / found["file"],
            sha256=found["sha256"],
            size_bytes=found["bytes"],
            architecture=found["architecture"],
            width=found["width"],
            image_size=found["image_size"],
            classes=tuple(found["classes"]),
            dataset=found["dataset"]["name"],
            map_50_95=found["accuracy"]["map_50_95"],
            parameters=found["parameters"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkloadError(f"{card}: not a card of weights ({error!r}). Restore the file") from error


def _from_file(name: str, base: Path) -> Weights:
    path = base / Path(name).expanduser()
    header = read_header(path)
    return Weights(
        name=name,
        path=path,
        sha256=_sha256(path),
        size_bytes=path.stat().st_size,
        architecture=header.architecture,
        width=header.width,
        image_size=header.image_size,
        classes=header.classes,
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WorkloadError(f"{path}: weights cannot be read ({error.strerror})") from error
