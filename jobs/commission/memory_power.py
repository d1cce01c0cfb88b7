"""Whether the DRAM counters can be believed: bounds, sockets against each other, and whether they follow a load. Pure.

A two-socket Granite Rapids shows 200.0 W for one socket's memory and 6.0 W for the other's (PAPI issue 635), and a
DRAM counter read with the package's unit is four times too large (likwid issues 39 and 642).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.commission.measured import Measured
from jobs.commission.verdict import Finding, Verdict, finding
from sipa.energy.readings import DomainKind

MIN_W, MAX_W = 0.1, 100.0
"""A socket's memory draws something, and never so much: eight large modules draw some 60 W."""

MAX_RATIO = 3.0
"""Sockets with alike modules do not differ more than this."""

MIN_RISE = 1.02
"""The load copies memory on every CPU: a counter that does not rise with it does not follow its modules."""

_CURE = "compare with the installed modules (dmidecode -t memory); use energy_pkg_j until it is understood"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPower:
    """The memory of one socket.

    Attributes:
        domain: the counter.
        idle_w: None if unavailable.
        stress_w: None if unavailable.
        share: of the package's power under stress.
    """

    domain: str
    idle_w: float | None
    stress_w: float | None
    share: float | None


def memory_power(idle: Measured, stress: Measured) -> tuple[MemoryPower, ...]:
    """The memory of every socket in both states."""
    idle_w = {each.domain: each.power_w for each in idle.counters}
    packages = {each.domain.removeprefix("pkg"): each.power_w for each in stress.of(DomainKind.PACKAGE)}
    return tuple(
        MemoryPower(
            domain=each.domain,
            idle_w=idle_w.get(each.domain),
            stress_w=each.power_w,
            share=_share(each.power_w, packages.get(each.domain.removeprefix("dram"))),
        )
        for each in stress.of(DomainKind.DRAM)
    )


def judge_memory(found: tuple[MemoryPower, ...]) -> Finding:
    """Whether the DRAM counters can be believed."""
    title, why = (
        "DRAM plausibility",
        "totals include DRAM: a counter with a wrong unit, or a stub, goes into each of them",
    )
    if not found:
        text = "this machine has no DRAM counter: totals are packages only"
        return finding("dram", title, Verdict.UNKNOWN, text, why=why)
    wrong, odd = list(_impossible(found)), list(_odd(found))
    said = "; ".join(f"{each.domain} {_watts(each.idle_w)} idle, {_watts(each.stress_w)} loaded" for each in found)
    verdict = Verdict.FAIL if wrong else Verdict.WARN if odd else Verdict.OK
    return finding("dram", title, verdict, "; ".join([*wrong, *odd, said]), why=why, cure=_CURE)


def _impossible(found: tuple[MemoryPower, ...]) -> Iterator[str]:
    for each in found:
        for state, power_w in (("idle", each.idle_w), ("under load", each.stress_w)):
            if power_w is None:
                yield f"{each.domain} is unavailable {state}"
            elif not MIN_W <= power_w <= MAX_W:
                yield f"{each.domain} shows {power_w:.4g} W {state}, outside {MIN_W:g} to {MAX_W:g} W"


def _odd(found: tuple[MemoryPower, ...]) -> Iterator[str]:
    for state, powers in (
        ("idle", [each.idle_w for each in found]),
        ("under load", [each.stress_w for each in found]),
    ):
        known = [power_w for power_w in powers if power_w]
        if len(known) > 1 and max(known) > MAX_RATIO * min(known):
            yield f"sockets differ {max(known) / min(known):.1f}-fold {state}"
    for each in found:
        if each.share is not None and each.share > 1:
            yield f"{each.domain} draws more than its package"
        if each.idle_w is not None and each.stress_w is not None and each.stress_w < MIN_RISE * each.idle_w:
            yield f"{each.domain} does not rise under load"


def _share(part_w: float | None, whole_w: float | None) -> float | None:
    return part_w / whole_w if part_w is not None and whole_w else None


def _watts(power_w: float | None) -> str:
    return "unavailable" if power_w is None else f"{power_w:.2f} W"
