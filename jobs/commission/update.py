"""How often the counters really move: one is read without pause, and the times between its changes are kept.

The arithmetic takes a millisecond (Intel SDM 3B) for granted: half of a window's uncertainty is one update at each end.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jobs.commission.distribution import Distribution, distribution
from jobs.commission.verdict import Finding, Verdict, finding
from sipa.energy.readings import RAPL_UPDATE_NS, Domain

SLOW_S = 2 * RAPL_UPDATE_NS / 1e9
"""A longer median period makes the uncertainty that stands in rows too small."""

_MIN_CHANGES = 10
_MIN_READS_A_CHANGE = 3.0

Clock = Callable[[], int]
Change = tuple[int, int]
"""(monotonic nanoseconds, microjoules) when a new value was first seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """The updates of one counter.

    Attributes:
        domain: the counter.
        reads: how often it was read.
        period: times between two changes; None if there were fewer than two.
        step_counts: median step between two changes, in counts of the hardware.
        reads_a_change: reads between two changes; below 3 the reader is too slow to see the period.
        reason: why there is nothing.
    """

    domain: str
    reads: int
    period: Distribution | None
    step_counts: float | None
    reads_a_change: float | None
    reason: str = ""


def measure_updates(domain: Domain, spin_s: float, clock: Clock = time.monotonic_ns) -> Updates:
    """Watch a counter of powercap for so long."""
    try:
        reads, changes = _spin(domain.path, spin_s, clock)
    except (OSError, ValueError) as error:
        return Updates(domain=domain.id, reads=0, period=None, step_counts=None, reads_a_change=None, reason=f"{error}")
    return updates(domain, reads, changes)


def updates(domain: Domain, reads: int, changes: Sequence[Change]) -> Updates:
    """What the changes of a counter say.

    Args:
        domain: the counter.
        reads: how often it was read.
        changes: in the order of time; the first is the first change that was seen.
    """
    pairs = list(pairwise(changes))
    # A step backwards is the wrap.
    steps = [(domain.counts(after) - domain.counts(before)) % domain.turn for (_, before), (_, after) in pairs]
    return Updates(
        domain=domain.id,
        reads=reads,
        period=distribution(end_ns - begin_ns for (begin_ns, _), (end_ns, _) in pairs),
        step_counts=statistics.median(steps) if steps else None,
        reads_a_change=reads / len(changes) if changes else None,
        reason="" if pairs else "it hardly moved while it was watched",
    )


def judge_updates(found: Sequence[Updates]) -> Finding:
    """Whether the millisecond that the uncertainty is built on holds."""
    title, why = (
        "Counter update period",
        (f"uncertainties in rows assume {RAPL_UPDATE_NS / 1e6:g} ms: a slower counter makes them too small"),
    )
    seen = [each for each in found if each.period is not None and each.period.n >= _MIN_CHANGES]
    if not seen:
        reasons = "; ".join(f"{each.domain}: {each.reason or 'too few changes'}" for each in found)
        return finding("update-period", title, Verdict.UNKNOWN, reasons or "only powercap shows it", why=why)
    slow = [each for each in seen if _median_s(each) > SLOW_S]
    blind = [each for each in seen if (each.reads_a_change or 0) < _MIN_READS_A_CHANGE]
    verdict = Verdict.WARN if slow else Verdict.UNKNOWN if blind else Verdict.OK
    text = ", ".join(f"{each.domain} {_median_s(each) * 1e3:.3f} ms" for each in seen)
    if blind:
        text += f"; {', '.join(each.domain for each in blind)}: read too slowly to see the period"
    return finding(
        "update-period",
        title,
        verdict,
        f"median {text}",
        why=why,
        cure="use longer windows (measurement.min_window_s); multiply uncertainties by the median in milliseconds",
    )


def _median_s(each: Updates) -> float:
    return each.period.median_s if each.period is not None else 0.0


def _spin(path: str, spin_s: float, clock: Clock) -> tuple[int, list[Change]]:
    """Read without pause; nothing is done with a value that has not changed, so that few changes are missed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        reads, changes = 0, list[Change]()
        last, end_ns = os.pread(descriptor, 64, 0), clock() + round(spin_s * 1e9)
        while (now_ns := clock()) < end_ns:
            value = os.pread(descriptor, 64, 0)
            reads += 1
            if value != last:
                changes.append((now_ns, int(value)))
                last = value
    finally:
        os.close(descriptor)
    return reads, changes
