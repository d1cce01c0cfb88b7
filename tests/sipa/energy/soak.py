"""A soak: when its windows begin and end, which of them cannot be known, and whether what was found is true.

A value that was read at some time between two clock readings is of one of the feeder's steps; the steps that can be
meant are known from its log. So every energy has a least and a greatest value that are true, and nothing is allowed
for what might have been.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.feeder.live import LiveMachine

NS = 10**9
AIM_NS = 200_000
"""An adversarial edge is this near the moment at which a reader can see a wrap."""
LATE_NS = 2_000_000
"""A real counter advances every millisecond; a feeder that was later than this was held up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that happened to some domains for a while."""

    what: str
    begin_ns: int
    end_ns: int
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows to be made.

    Attributes:
        number: how many.
        from_s: earliest begin, after the epoch.
        until_s: latest end.
        longest_s: longest window; the shortest is 2 s.
        aimed: share of the edges that are aimed at a wrap.
    """

    number: int
    from_s: float
    until_s: float
    longest_s: float = 20.0
    aimed: float = 0.4


def visible_wraps_ns(live: LiveMachine, from_s: float, until_s: float) -> list[int]:
    """When a reader can see the wraps of all counters: at the step after each."""
    period_ns = round(NS / live.machine.hz)
    return sorted(
        live.epoch_ns + -(-(wrap_ns - live.epoch_ns) // period_ns) * period_ns
        for domain in live.counters
        for wrap_ns in live.wraps_ns(domain, live.at_ns(from_s), live.at_ns(until_s))
    )


def schedule(live: LiveMachine, windows: Sequence[Windows], seed: int) -> list[tuple[int, str, int]]:
    """Edges in the order of time: when, `begin`, `end` or `poll`, and the window's number."""
    chance = random.Random(seed)
    edges: list[tuple[int, str, int]] = []
    number = 0
    for each in windows:
        wraps = visible_wraps_ns(live, each.from_s, each.until_s)
        edges += [(aimed(wrap_ns, chance), "poll", -1) for wrap_ns in wraps]
        for _ in range(each.number):
            begin_ns, end_ns = _window(live, each, wraps, chance)
            edges += [(begin_ns, "begin", number), (end_ns, "end", number)]
            number += 1
    return sorted(edges)


def aimed(wrap_ns: int, chance: random.Random) -> int:
    return wrap_ns + chance.randint(-AIM_NS, AIM_NS)


def _window(live: LiveMachine, windows: Windows, wraps: Sequence[int], chance: random.Random) -> tuple[int, int]:
    latest_ns = live.at_ns(windows.until_s)
    length_ns = round((2 + (windows.longest_s - 2) * chance.random() ** 2) * NS)
    begin_ns = chance.randint(live.at_ns(windows.from_s), latest_ns - length_ns)
    if chance.random() < windows.aimed:
        begin_ns = aimed(_nearest(wraps, begin_ns), chance)
    end_ns = min(begin_ns + length_ns, latest_ns)
    within = [wrap for wrap in wraps if 2.1 * NS <= wrap - begin_ns <= (windows.longest_s - 0.1) * NS]
    if within and chance.random() < windows.aimed:
        end_ns = aimed(_nearest(within, end_ns), chance)
    return begin_ns, end_ns


def _nearest(moments: Sequence[int], to_ns: int) -> int:
    return min(moments, key=lambda moment: abs(moment - to_ns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a meter found for one domain in one window, beside what is true.

    Attributes:
        window: its number.
        domain: the counter.
        begin: clock before and after the call that began it.
        end: the same for its end.
        joules: as found.
        uncertainty_j: as stated.
        wraps: as found.
        flags: as found.
        reason: as found.
        truth_j: energy between the window's own times.
        least_j: no smaller energy is true, to one count.
        greatest_j: no greater one is.
        blur_j: energy of the feeder's step and of the call at both edges.
        wraps_least: fewest wraps that are true.
        wraps_greatest: most.
        stale_ns: how old what was seen can have been when a call began, the worse of the two edges.
    """

    window: int
    domain: str
    begin: tuple[int, int]
    end: tuple[int, int]
    joules: float | None
    uncertainty_j: float | None
    wraps: int
    flags: tuple[str, ...]
    reason: str | None
    truth_j: float
    least_j: float
    greatest_j: float
    blur_j: float
    wraps_least: int
    wraps_greatest: int
    stale_ns: int

    @property
    def true(self) -> bool:
        """Whether what was found, if anything, is true."""
        if self.joules is None:
            return True
        return (
            self.least_j <= self.joules <= self.greatest_j
            and self.wraps_least <= self.wraps <= self.wraps_greatest
            and abs(self.joules - self.truth_j) <= 1e-3 * self.truth_j + self.blur_j
        )

    @property
    def error(self) -> float:
        """Relative to the truth between the window's own times."""
        return abs((self.joules or 0) - self.truth_j) / self.truth_j

    @property
    def as_certain_as_stated(self) -> bool:
        """Whether the truth between the window's own times is within the uncertainty that was stated."""
        return abs((self.joules or 0) - self.truth_j) <= (self.uncertainty_j or 0)

    @property
    def marked(self) -> bool:
        """Whether it is unavailable or flagged."""
        return self.joules is None or bool(self.flags)

    def meets(self, span: Span) -> bool:
        """Whether anything of the span is in the window."""
        return self.domain in span.domains and self.begin[0] < span.end_ns and span.begin_ns < self.end[1]

    def holds(self, span: Span) -> bool:
        """Whether all of the span is inside the window."""
        return self.domain in span.domains and self.begin[1] < span.begin_ns and span.end_ns < self.end[0]

    def has_edge_in(self, span: Span) -> bool:
        """Whether it begins or ends inside the span for certain."""
        edges = (self.begin, self.end)
        inside = any(span.begin_ns < before_ns and after_ns < span.end_ns for before_ns, after_ns in edges)
        return self.domain in span.domains and inside


def judge(live: LiveMachine, windows: Sequence[dict[str, Any]]) -> Iterator[Found]:
    """Every domain of every window beside the truth."""
    for number, window in enumerate(windows):
        for domain, found in window["domains"].items():
            yield _judge(live, number, window, domain, found)


def _judge(live: LiveMachine, number: int, window: dict[str, Any], domain: str, found: dict[str, Any]) -> Found:
    first = live.steps.seen_ns(*window["begin"])
    last = live.steps.seen_ns(*window["end"])
    # The other edge of each pair is the nearest that the value can be: energy never falls.
    least_ns, greatest_ns = (first[1], max(first[1], last[0])), (first[0], last[1])
    begin_ns, end_ns = window["begin_ns"], window["end_ns"]
    count_j = live.counters[domain].count_nj / NS
    blur_ns = max(begin_ns - first[0], first[1] - begin_ns) + max(end_ns - last[0], last[1] - end_ns)
    return Found(
        window=number,
        domain=domain,
        begin=(window["begin"][0], window["begin"][1]),
        end=(window["end"][0], window["end"][1]),
        joules=found["joules"],
        uncertainty_j=found["uncertainty_j"],
        wraps=found["wraps"],
        flags=tuple(found["flags"]),
        reason=found["reason"],
        truth_j=live.energy_j(domain, begin_ns, end_ns),
        least_j=live.energy_j(domain, *least_ns) - count_j,
        greatest_j=live.energy_j(domain, *greatest_ns) + count_j,
        blur_j=live.counters[domain].power.max_w * blur_ns / NS,
        wraps_least=live.wraps_between(domain, *least_ns),
        wraps_greatest=live.wraps_between(domain, *greatest_ns),
        stale_ns=max(window["begin"][0] - first[0], window["end"][0] - last[0]),
    )


@dataclass(slots=True)
class Tally:
    """Counts for the table."""

    rows: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, value: float | str) -> None:
        self.rows[what] = value if isinstance(value, str) else f"{value:,.6g}"

    def __str__(self) -> str:
        width = max(map(len, self.rows))
        return "\n".join(f"  {what:<{width}}  {value:>12}" for what, value in self.rows.items())


def edges_at_wraps(live: LiveMachine, found: Iterable[Found], within_ns: int = AIM_NS) -> int:
    """How many edges were, in the end, so near the step at which a counter wrapped; 0: the call was under way."""
    edges = {edge for each in found for edge in (each.begin, each.end)}
    first_ns, last_ns = min(edges)[0], max(edges)[1]
    wraps = [wrap_ns for domain in live.counters for wrap_ns in live.wraps_ns(domain, first_ns, last_ns)]
    shown = [live.steps.first_from_ns(wrap_ns) for wrap_ns in wraps]
    return sum(any(before - within_ns <= at <= after + within_ns for at in shown) for before, after in edges)
