"""No energy source at all, asked for by name: windows have a length and nothing else."""

import time
from collections.abc import Callable

from sipa.energy.readings import Domain, Reading
from sipa.energy.source import MeterKind


class NoSource:
    """A source without counters, for whoever wants time and accuracy only.

    Args:
        clock: monotonic nanoseconds.
    """

    kind = MeterKind.NONE
    domains: tuple[Domain, ...] = ()

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock

    def open(self) -> None:
        """There is nothing to open."""

    def read(self) -> Reading:
        """Nothing but the time."""
        begin_ns = self._clock()
        return Reading(begin_ns=begin_ns, end_ns=begin_ns, values_uj={})

    def close(self) -> None:
        """There is nothing to close."""
