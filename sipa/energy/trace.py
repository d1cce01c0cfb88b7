"""Power over time inside a window, from the counter's advances between successive reads: nothing is sampled twice.

The mean of a trace, weighted by time, is the window's power, because the intervals are the window cut in pieces.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sipa.energy.readings import Domain, Mark
from sipa.energy.window import Flag, energies_between

MAX_MARKS = 24 * 3600
"""Marks that a meter keeps: a day of seconds, about a kilobyte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSample:
    """Mean power of one domain in one interval of a window.

    Attributes:
        t_s: from the window's begin to the end of the interval.
        domain: the counter's name.
        power_w: mean power in the interval.
    """

    t_s: float
    domain: str
    power_w: float


def power_samples(
    domains: Sequence[Domain], edges: tuple[Mark, Mark], marks: Iterable[Mark], period_s: float
) -> tuple[PowerSample, ...]:
    """Power between successive marks of a window, in order of time.

    An interval in which a counter broke, failed or did the impossible gives no sample of it.

    Args:
        domains: the counters.
        edges: the window's own marks.
        marks: all marks that were kept, in order of time.
        period_s: nominal length of an interval; shorter ones than half of it are merged.
    """
    begin, end = edges
    kept = _thinned(begin, [mark for mark in marks if begin.end_ns < mark.begin_ns < end.begin_ns], end, period_s)
    samples = []
    for first, last in pairwise(kept):
        duration_ns = last.begin_ns - first.begin_ns
        for name, energy in energies_between(domains, first, last).items():
            if duration_ns > 0 and energy.joules is not None and Flag.IMPLAUSIBLE not in energy.flags:
                t_s = (last.begin_ns - begin.end_ns) / 1e9
                samples.append(PowerSample(t_s=t_s, domain=name, power_w=energy.joules * 1e9 / duration_ns))
    return tuple(samples)


def _thinned(begin: Mark, inside: Sequence[Mark], end: Mark, period_s: float) -> list[Mark]:
    """The marks from begin to end without those that are nearer than half a period to the one before or to the end."""
    least_ns = period_s * 1e9 / 2
    kept = [begin]
    for mark in inside:
        if mark.begin_ns - kept[-1].begin_ns >= least_ns and end.begin_ns - mark.begin_ns >= least_ns:
            kept.append(mark)
    return [*kept, end]
