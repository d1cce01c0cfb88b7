"""A distribution of times that fits into a file: quantiles, and a histogram whose bins grow with the value."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PER_DECADE = 50
"""Bins in a factor of ten: neighbouring edges differ by 4.7 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Times in seconds.

    Attributes:
        n: how many.
        bins: (lower edge in seconds, count) of every bin that is not empty.
    """

    n: int
    min_s: float
    p05_s: float
    median_s: float
    p95_s: float
    p99_s: float
    max_s: float
    bins: tuple[tuple[float, int], ...]


def distribution(times_ns: Iterable[int]) -> Distribution | None:
    """The distribution of times in nanoseconds; None if there are none."""
    ordered = sorted(times_ns)
    if not ordered:
        return None
    found = {q: quantile(ordered, q) / 1e9 for q in (0.05, 0.5, 0.95, 0.99)}
    counts = Counter(map(place_of, ordered))
    return Distribution(
        n=len(ordered),
        min_s=ordered[0] / 1e9,
        p05_s=found[0.05],
        median_s=found[0.5],
        p95_s=found[0.95],
        p99_s=found[0.99],
        max_s=ordered[-1] / 1e9,
        bins=tuple((10 ** (place / PER_DECADE) / 1e9, counts[place]) for place in sorted(counts)),
    )


def place_of(time_ns: float) -> int:
    """Number of the bin of a time; a lower edge belongs to the bin above it."""
    return math.floor(PER_DECADE * math.log10(max(1.0, time_ns)) + 1e-6)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least a share `q` of the values does not exceed.

    Args:
        ordered: ascending, not empty.
        q: 0 to 1.
    """
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]
