"""What a workload is to the protocol: it does its work and says, through the recorder, which phase it is in."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from jobs.order import TrialOrder
from sipa.errors import MissingExtraError
from sipa.trial import Row
from sipa.workloads import Kind

INFERENCE = "inference"
"""The measured window's phase."""


class Recorder(Protocol):
    """What a workload tells while it works; see `jobs.recorder`."""

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Open a phase for the length of a `with` block. Phases do not overlap."""
        ...

    def progress(self, fraction: float, detail: str = "") -> None:
        """Say how far the present phase is, 0 to 1. Cheap: at most one message a second leaves the process."""
        ...

    def flag(self, text: str) -> None:
        """Note something that the reader of the row must know: `name: detail`."""
        ...

    def elapsed_s(self) -> float:
        """Seconds since the present phase began."""
        ...

    def temperature_c(self) -> float | None:
        """Temperature of the hottest package now, in degrees Celsius; None where it cannot be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a workload found.

    Attributes:
        work_unit: what one unit of work is called.
        work_units: units done inside the inference window.
        images: the same in images; None where the unit is another.
        passes: times that the work was repeated inside the window.
        unsteady: what still changed when the warm-up ended; None where nothing did, or there is no warm-up.
        batch_latencies_s: per batch inside the window; empty where there are no batches.
        columns: result columns of the workload's declaration, free factors excepted.
    """

    work_unit: str
    work_units: float
    passes: int
    images: int | None = None
    unsteady: str | None = None
    batch_latencies_s: tuple[float, ...] = ()
    columns: Row = field(default_factory=dict)


Workload = Callable[[TrialOrder, Recorder], Findings]

_HOMES: dict[Kind, str] = {Kind.DETECTION: "jobs.detection.workload", Kind.COMMAND: "jobs.command"}


def implementation(kind: Kind) -> Workload:
    """The workload of a kind. Its heavy imports happen inside, in the phase "import"."""
    run: Workload = import_module(_HOMES[kind]).run
    return run


_PACKAGES: dict[Kind, dict[str, str]] = {
    Kind.DETECTION: {
        "torch": "torch",
        "cv2": "opencv-python-headless",
        "pycocotools": "pycocotools",
        "safetensors": "safetensors",
        "sklearn": "scikit-learn",
    },
    Kind.COMMAND: {},
}


def require_packages(kind: Kind) -> None:
    """Check that what a workload imports is installed, without importing it.

    Raises:
        MissingExtraError: the first package that is not.
    """
    for module, package in _PACKAGES[kind].items():
        if find_spec(module) is None:
            raise MissingExtraError(package, "node", f"a {kind.value} trial")


def kinds() -> Iterator[Kind]:
    """The kinds that have an implementation."""
    return iter(_HOMES)
