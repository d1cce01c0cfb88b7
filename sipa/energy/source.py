"""The seam between meter and hardware: anything that reads all its counters at one time.

A source only reads; wraps, gaps and plausibility are `readings`' concern, so every source gets them alike.
"""

from enum import StrEnum
from typing import Protocol

from sipa.energy.readings import Domain, Reading


class MeterKind(StrEnum):
    """The sources that a user may name."""

    POWERCAP = "powercap"
    PERF = "perf"
    MODEL = "model"
    NONE = "none"


class Source(Protocol):
    """Counters of one kind."""

    @property
    def kind(self) -> MeterKind:
        """Which kind of source it is."""

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Every counter; fixed for the life of the source."""

    def open(self) -> None:
        """Open the counters again after `close`, as in the child of a fork.

        Raises:
            MeterError: one of them cannot be opened or read.
        """

    def read(self) -> Reading:
        """Read every counter, as nearly at once as possible; one that fails is a failure in the reading."""

    def close(self) -> None:
        """Close the counters; closing twice does nothing."""
