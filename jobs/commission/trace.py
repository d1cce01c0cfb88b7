"""A power trace as numbers: thinning that keeps the energy, drift, noise, means of blocks. Pure.

A point is the end of an interval and the mean power over it; the first interval begins at 0.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from sipa.energy.trace import PowerSample

Points = tuple[tuple[float, float], ...]
"""(end of the interval in seconds, mean power in watts), in the order of time."""

Trace = Mapping[str, Points]
"""Points by domain."""

_LONG_ENOUGH = 0.99


def by_domain(samples: Iterable[PowerSample], step_s: float = 1.0) -> dict[str, Points]:
    """The samples of a meter by domain, thinned to one in `step_s` seconds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for each in samples:
        found.setdefault(each.domain, []).append((each.t_s, each.power_w))
    return {domain: thinned(points, step_s) for domain, points in found.items()}


def thinned(points: Sequence[tuple[float, float]], step_s: float) -> Points:
    """Neighbouring intervals joined until each is about `step_s` long; the energy stays the same.

    Args:
        points: in the order of time.
        step_s: an interval that is nearly as long is long enough, so that what was read at this pace stays as it is.
    """
    joined: list[tuple[float, float]] = []
    begin, energy_j, last = 0.0, 0.0, 0.0
    for end, power_w in points:
        energy_j += power_w * (end - last)
        last = end
        if end - begin >= _LONG_ENOUGH * step_s:
            joined.append((end, energy_j / (end - begin)))
            begin, energy_j = end, 0.0
    if last > begin:
        joined.append((last, energy_j / (last - begin)))
    return tuple(joined)


def summed(trace: Trace, domains: Iterable[str]) -> Points:
    """The sum over some domains, at the instants that all of them have."""
    chosen = [dict(trace[domain]) for domain in domains if domain in trace]
    if not chosen:
        return ()
    shared = sorted(set(chosen[0]).intersection(*chosen[1:]))
    return tuple((t_s, sum(each[t_s] for each in chosen)) for t_s in shared)


def powers(points: Points) -> list[float]:
    """The watts alone."""
    return [power_w for _, power_w in points]


def drift_w_per_h(points: Points) -> float | None:
    """Slope of the least-squares line; None for fewer than three points."""
    if len(points) < 3:
        return None
    slope = statistics.linear_regression([t_s for t_s, _ in points], powers(points)).slope
    return slope * 3600


def spread_w(points: Points) -> float | None:
    """Standard deviation of the points; None for fewer than two."""
    return statistics.stdev(powers(points)) if len(points) > 1 else None


def blocks(points: Points, block_s: float) -> Points:
    """Means over successive blocks; a last one that is shorter than three quarters of a block is left out."""
    joined = thinned(points, block_s)
    ends = [0.0, *(end for end, _ in joined)]
    return joined if len(ends) < 2 or ends[-1] - ends[-2] >= 0.75 * block_s else joined[:-1]
