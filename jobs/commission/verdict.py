"""What a step of commissioning says about a node: a verdict with what was found, why it matters and what to do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How much a finding should worry; from harmless to grave."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It could not be tested: neither good nor bad."""
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table of verdicts.

    Attributes:
        key: [a-z-]+, names the finding for programs.
        title: the same for people.
        verdict: how much it should worry.
        found: the numbers.
        why: why it matters.
        cure: what to do; empty where there is nothing to do.
    """

    key: str
    title: str
    verdict: Verdict
    found: str
    why: str
    cure: str = ""


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict; unknown if there are no findings."""
    order = list(Verdict)
    return max((each.verdict for each in findings), key=order.index, default=Verdict.UNKNOWN)


def in_short(findings: Iterable[Finding]) -> str:
    """How many verdicts of each kind there are, the grave ones first: "1 warn, 2 unknown, 14 ok"."""
    counts = Counter(each.verdict for each in findings)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(Verdict) if counts[verdict]) or "none"


def graded(value: float, warn_above: float, fail_above: float | None = None) -> Verdict:
    """The verdict on a value that should be small.

    Args:
        value: not negative.
        warn_above: limit of what is good.
        fail_above: limit of what can be worked with; None: nothing is worse than a warning.
    """
    if fail_above is not None and value > fail_above:
        return Verdict.FAIL
    return Verdict.WARN if value > warn_above else Verdict.OK


def finding(key: str, title: str, verdict: Verdict, found: str, *, why: str, cure: str = "") -> Finding:
    """A finding; what is well needs no cure."""
    return Finding(
        key=key, title=title, verdict=verdict, found=found, why=why, cure="" if verdict is Verdict.OK else cure
    )


def split_cure(reason: str) -> tuple[str, str]:
    """What is wrong and what to do, from a message of `sipa.errors` that ends with its cure."""
    found, _, cure = reason.partition(" Cure: ")
    return found.rstrip("."), cure
