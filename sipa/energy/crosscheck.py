"""Whether two sources that read the same registers in the same window say the same: a check of the arithmetic.

Agreement says nothing of the sensor. DRAM differs by design: on Haswell and later servers powercap takes 15.3 µJ a
count and perf 2^-16 J (15.2588 µJ), and which of them is right stands in no manual.
"""

from collections.abc import Mapping, Sequence

from sipa.energy.readings import Domain, DomainKind, Mark
from sipa.energy.source import MeterKind
from sipa.energy.window import CheckedEnergy, DomainEnergy, EnergyWindow, edge_power_w, energies_between

RELATIVE = 0.002
"""What may always differ: the units of both are rounded (61.035 against 61.03515625 µJ), and power is not even."""

UPDATES_NS = 2_000_000
"""One update of the counter at each edge: one source may have read before it and the other after."""

STEPS = 2
"""Steps of each counter: one at each edge."""

DRAM_UNIT_NJ = 15300
"""Powercap's unit for DRAM (`rapl_defaults_hsw_server` in drivers/powercap/intel_rapl_common.c)."""

DRAM_RELATIVE = 0.0027
"""By how much that exceeds perf's 2^-16 J (`RAPL_UNIT_QUIRK_INTEL_HSW` in arch/x86/events/rapl.c)."""


def checked(window: EnergyWindow, kind: MeterKind, domains: Sequence[Domain], begin: Mark, end: Mark) -> CheckedEnergy:
    """What another source says of a window, and where the two disagree.

    Args:
        window: of the source, with its edges.
        kind: the other source.
        domains: its counters.
        begin: its mark at the window's begin.
        end: its mark at the window's end.
    """
    by_domain = energies_between(domains, begin, end)
    skew_ns = 0
    if window.edges:
        skew_ns = sum(_apart_ns(ours, theirs) for ours, theirs in zip(window.edges, (begin, end), strict=True))
    names = (window.source, kind)
    found = disagreements(names, window.by_domain, by_domain, window.end_ns - window.begin_ns, skew_ns)
    return CheckedEnergy(source=kind, by_domain=by_domain, disagreements=found)


def disagreements(
    names: tuple[MeterKind, MeterKind],
    ours: Mapping[str, DomainEnergy],
    theirs: Mapping[str, DomainEnergy],
    duration_ns: int,
    skew_ns: int = 0,
) -> tuple[str, ...]:
    """One line for each domain that both know and of which they say different things.

    A domain that only one source has, or that is unavailable by one of them, is not compared.

    Args:
        names: of the two sources.
        ours: energies by the one.
        theirs: energies by the other.
        duration_ns: length of the window.
        skew_ns: how far apart the two read, both edges together.
    """
    lines = []
    for domain in ours.keys() & theirs.keys():
        one, other = ours[domain].joules, theirs[domain].joules
        if one is None or other is None:
            continue
        allowed_j = tolerance_j(ours[domain], theirs[domain], duration_ns, skew_ns)
        if abs(one - other) > allowed_j:
            lines.append(
                f"{domain}: {names[0]} says {one:.7g} J and {names[1]} {other:.7g} J, which differ by "
                f"{abs(one - other):.6g} J where {allowed_j:.4g} J are explained: one of them counts wrongly. "
                f"Cure: sipa-cluster commission"
            )
    return tuple(sorted(lines))


def tolerance_j(one: DomainEnergy, other: DomainEnergy, duration_ns: int, skew_ns: int) -> float:
    """By how much two readings of one register may differ.

    0.2 % of the larger; the power of one update at each edge and of the time between the reads of the two sources,
    at the mean power or, in a window of few updates, at the maximum; two steps of each counter; and 0.27 % of DRAM
    where one takes 15.3 µJ and the other does not.
    """
    larger_j = max(one.joules or 0.0, other.joules or 0.0)
    power_w = max(edge_power_w(each.domain, larger_j * 1e9, duration_ns) for each in (one, other))
    relative = RELATIVE + (DRAM_RELATIVE if _differ_in_dram_unit(one.domain, other.domain) else 0.0)
    steps_nj = STEPS * (one.domain.step_nj + other.domain.step_nj)
    return relative * larger_j + (power_w * (UPDATES_NS + skew_ns) + steps_nj) / 1e9


def _differ_in_dram_unit(one: Domain, other: Domain) -> bool:
    return one.kind is DomainKind.DRAM and (one.count_nj == DRAM_UNIT_NJ) != (other.count_nj == DRAM_UNIT_NJ)


def _apart_ns(one: Mark, other: Mark) -> int:
    """The longest time that can lie between the reads of two sources at one edge."""
    return max(one.end_ns, other.end_ns) - min(one.begin_ns, other.begin_ns)
