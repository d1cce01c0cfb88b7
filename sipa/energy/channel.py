"""One source together with the latest mark of its counters, so that marks of two sources are never mixed up.

It has no lock: whoever reads through it holds the meter's, because a mark is made from the one before.
"""

from dataclasses import replace

from sipa.energy.readings import Domain, Mark, advance
from sipa.energy.source import MeterKind, Source


class Channel:
    """A source and its latest mark.

    Args:
        source: what is read.

    Attributes:
        source: what is read.
        kind: which kind of source it is.
        domains: its counters.
        mark: the latest one; None before the first read.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.kind: MeterKind = source.kind
        self.domains: tuple[Domain, ...] = source.domains
        self.mark: Mark | None = None

    def take(self, asleep_ns: int | None) -> Mark:
        """The mark after one more reading.

        Args:
            asleep_ns: how long the host has been suspended since boot.
        """
        reading = self.source.read()
        if asleep_ns is not None:
            reading = replace(reading, asleep_ns=asleep_ns)
        self.mark = advance(self.domains, self.mark, reading)
        return self.mark
