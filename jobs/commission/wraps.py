"""Whether a wrap left a mark in the power: the interval that holds it must look like its neighbours. Pure.

A wrap that is missed or counted twice is a quarter of a megajoule in one second; one count of the counter is 61 µJ.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.commission.measured import Measured
from jobs.commission.trace import Points, Trace
from jobs.commission.verdict import Finding, Verdict, finding
from sipa.energy.readings import DomainKind

MAX_DEVIATION = 0.05
"""Power across the wrap may differ from its neighbours' median by this share, or by four times their spread."""

_STOP = "do not measure here; the JSON file is what a report of the fault needs"
_NEIGHBOURS = 30
_MIN_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Between these two looks, in seconds since the begin, a counter wrapped for the first time."""

    after_s: float
    before_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The first wrap of one counter.

    Attributes:
        domain: the counter.
        after_s: it had not wrapped so long after the begin of the stress.
        before_s: it had by then.
        across_w: mean power over the intervals of the trace that may hold the wrap; None without a trace.
        worst_w: of these, the one furthest from the neighbours' median.
        neighbours_w: median power of the neighbouring intervals.
        neighbours_spread_w: their standard deviation.
        neighbours: how many there are.
    """

    domain: str
    after_s: float
    before_s: float
    across_w: float | None = None
    worst_w: float | None = None
    neighbours_w: float | None = None
    neighbours_spread_w: float | None = None
    neighbours: int = 0

    @property
    def deviation(self) -> float | None:
        """Furthest power across the wrap relative to the neighbours' median."""
        if self.worst_w is None or not self.neighbours_w:
            return None
        return self.worst_w / self.neighbours_w - 1

    @property
    def tolerance(self) -> float:
        """What the deviation may be, from how much the neighbours differ among themselves."""
        spread = (self.neighbours_spread_w or 0.0) / self.neighbours_w if self.neighbours_w else 0.0
        return max(MAX_DEVIATION, 4 * spread)


def crossings(brackets: Mapping[str, Bracket], trace: Trace) -> tuple[Crossing, ...]:
    """The wraps with the power across them.

    Args:
        brackets: by domain.
        trace: on the same zero of time.
    """
    return tuple(_crossing(domain, bracket, trace.get(domain, ())) for domain, bracket in brackets.items())


def judge_wraps(found: Sequence[Crossing], window: Measured, *, wraps: bool) -> Finding:
    """Whether a real wrap was crossed, and whether energy went on over it.

    Args:
        found: the first wrap of each package counter that wrapped.
        window: the stress.
        wraps: whether the source's counters wrap at all; perf's are widened by the kernel.
    """
    title, why = "A real wrap", "a counter that wraps unseen or counts twice is a quarter of a megajoule in one trial"
    packages = len(window.of(DomainKind.PACKAGE))
    if window.reasons:
        return finding("wrap", title, Verdict.FAIL, window.reasons, why=why, cure=_STOP)
    if not wraps:
        text = "the kernel widens perf's counters, so none is seen"
        return finding(
            "wrap", title, Verdict.UNKNOWN, text, why=why, cure="make powercap readable: sipa-cluster doctor --node"
        )
    if len(found) < packages:
        text = f"not crossed: {len(found)} of {packages} package counters wrapped in {window.duration_s:.0f} s"
        cure = "run it without --quick, or let the stress last longer: sipa-cluster commission --max-stress 90"
        return finding("wrap", title, Verdict.UNKNOWN, text, why=why, cure=cure)
    odd = [each for each in found if each.deviation is not None and abs(each.deviation) > each.tolerance]
    unseen = [each for each in found if each.deviation is None]
    verdict = Verdict.FAIL if odd else Verdict.UNKNOWN if unseen else Verdict.OK
    text = "; ".join(_in_words(each) for each in found)
    cure = _STOP if odd else "run it without --quick"
    return finding("wrap", title, verdict, text, why=why, cure=cure)


def _crossing(domain: str, bracket: Bracket, points: Points) -> Crossing:
    begins = [0.0, *(end for end, _ in points)]
    spans = [(begin, end, power_w) for begin, (end, power_w) in zip(begins, points, strict=False)]
    before = [power_w for _, end, power_w in spans if end <= bracket.after_s][-_NEIGHBOURS:]
    after = [power_w for begin, _, power_w in spans if begin >= bracket.before_s][:_NEIGHBOURS]
    across = [each for each in spans if each[1] > bracket.after_s and each[0] < bracket.before_s]
    bare = Crossing(domain=domain, after_s=bracket.after_s, before_s=bracket.before_s)
    if not across or not before or not after or len(before) + len(after) < _MIN_NEIGHBOURS:
        return bare
    middle_w = statistics.median([*before, *after])
    length_s = sum(end - begin for begin, end, _ in across)
    return Crossing(
        domain=domain,
        after_s=bracket.after_s,
        before_s=bracket.before_s,
        across_w=sum(power_w * (end - begin) for begin, end, power_w in across) / length_s,
        worst_w=max((power_w for *_, power_w in across), key=lambda power_w: abs(power_w - middle_w)),
        neighbours_w=middle_w,
        neighbours_spread_w=statistics.stdev([*before, *after]),
        neighbours=len(before) + len(after),
    )


def _in_words(each: Crossing) -> str:
    if each.deviation is None or each.worst_w is None or each.neighbours_w is None:
        return f"{each.domain} wrapped after {each.before_s:.0f} s, too near an end to compare"
    return (
        f"{each.domain} wrapped after {each.before_s:.0f} s: {each.worst_w:.2f} W across it, {each.neighbours_w:.2f} W "
        f"beside it ({each.deviation:+.2%})"
    )
