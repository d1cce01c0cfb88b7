"""What a second reader of the counters says in the same windows: perf beside powercap, or the other way round. Pure.

It is a check of the arithmetic and of nothing else: both read one register. DRAM differs by 0.27 % by design where
the two know another unit for it; the tolerance of `sipa.energy` knows that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.commission.measured import Measured
from jobs.commission.verdict import Finding, Verdict, finding, split_cure

CAUSE_CURE = "compare the two in the JSON file; use windows shorter than a minute between reads, or name one meter only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One counter by two readers in one window.

    Attributes:
        state: idle or stress.
        domain: the counter.
        first_j: by the source.
        second_j: by the other; None if unavailable.
    """

    state: str
    domain: str
    source: str
    other: str
    first_j: float | None
    second_j: float | None

    @property
    def difference(self) -> float | None:
        """The other relative to the source, less one."""
        if self.first_j is None or self.second_j is None or self.first_j == 0:
            return None
        return self.second_j / self.first_j - 1


def compared(state: str, window: Measured) -> Iterator[Compared]:
    """Every counter that both readers have."""
    for check in window.checks:
        for each in window.counters:
            if each.counted and each.domain in check.energy_j:
                yield Compared(
                    state=state,
                    domain=each.domain,
                    source=window.source,
                    other=check.source,
                    first_j=each.energy_j,
                    second_j=check.energy_j[each.domain],
                )


def judge_agreement(idle: Measured, stress: Measured, why_not: str) -> Finding:
    """Whether two readers of one register agree.

    Args:
        idle: the window of the idle node.
        stress: the window under load, over the wrap.
        why_not: why no second reader ran along; empty if one did.
    """
    title, why = "powercap against perf", "both read one register: where they differ, one of them is computed wrongly"
    found = [*compared("idle", idle), *compared("stress", stress)]
    known = [each for each in found if each.difference is not None]
    if not known:
        reason, cure = split_cure(why_not or "no second reader of the counters ran along")
        return finding("agreement", title, Verdict.UNKNOWN, reason, why=why, cure=cure)
    # The cure that a row names is what is being done here.
    disagreements = [
        split_cure(text)[0] for window in (idle, stress) for check in window.checks for text in check.disagreements
    ]
    text = "; ".join(f"{each.state} {each.domain} {each.difference:+.4%}" for each in known)
    if disagreements:
        return finding("agreement", title, Verdict.FAIL, "; ".join(disagreements), why=why, cure=CAUSE_CURE)
    return finding("agreement", title, Verdict.OK, f"within tolerance: {text}", why=why)
