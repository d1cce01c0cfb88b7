"""Energy between two marks: joules of every domain with quality and reason, and what may be added up.

None is never 0: a total with an unavailable part is unavailable, and an estimate is no part of any total.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sipa.energy.power_model import Estimate
from sipa.energy.readings import Domain, DomainKind, Mark, Track, energy_nj
from sipa.energy.source import MeterKind

SHORT_UPDATES = 100
"""A window of fewer counter updates is flagged `short`: its edges alone may be off by more than 2 %."""

STALLED_NS = 1_000_000_000
"""No powered package or DRAM uses less than one count in this time: a counter that says so is dead."""


class Quality(StrEnum):
    """How a number came about."""

    MEASURED = "measured"
    DERIVED = "derived"
    ESTIMATED = "estimated"
    UNAVAILABLE = "unavailable"


class Flag(StrEnum):
    """What a reader of a number should know."""

    IMPLAUSIBLE = "implausible"
    """The counter advanced by more than the physical maximum power allows."""
    SHORT = "short"
    """The window is so short that the counter's update period matters."""
    READ_FAILED = "read-failed"
    """A read inside the window failed; the reads around it were close enough to lose nothing."""
    CROSS_CHECK = "cross-check"
    """Another source that read the same counters in the same window says something else."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DomainEnergy:
    """Energy of one domain in one window.

    Attributes:
        domain: the counter.
        joules: energy; None if unavailable.
        quality: how the number came about.
        wraps: counter wraps inside the window, accounted for.
        reason: why it is unavailable or implausible.
        flags: what a reader should know.
        uncertainty_j: bound of the counting error (`uncertainty_nj`); the sensor's own accuracy is not in it.
    """

    domain: Domain
    joules: float | None
    quality: Quality
    wraps: int = 0
    reason: str | None = None
    flags: tuple[Flag, ...] = ()
    uncertainty_j: float | None = None

    def __repr__(self) -> str:
        """Short, for notebooks: the counter's own fields are in `domain`."""
        bound = f" ± {self.uncertainty_j:.2g} J" if self.uncertainty_j else ""
        quality = () if self.joules is None else (self.quality,)
        return f"<{', '.join((f'{self.domain.id} {_joules(self.joules)}{bound}', *quality, *self.flags))}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEnergy:
    """What another source says of the same window: a check of the arithmetic, because both read one register.

    Attributes:
        source: the other source.
        by_domain: every domain of that source.
        disagreements: one line for each domain of which the two say different things (`crosscheck`).
    """

    source: MeterKind
    by_domain: dict[str, DomainEnergy]
    disagreements: tuple[str, ...] = ()

    @property
    def package_j(self) -> float | None:
        """Energy of all CPU packages."""
        return sum_j(counted(self.by_domain, DomainKind.PACKAGE))

    @property
    def dram_j(self) -> float | None:
        """Energy of all DRAM domains; None also where there is no such counter."""
        return sum_j(counted(self.by_domain, DomainKind.DRAM))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyWindow:
    """Energy between two instants.

    Attributes:
        name: the caller's.
        source: the meter that was used.
        begin_ns: monotonic time at which the work could begin: the counters had been read.
        end_ns: monotonic time at which the work had ended: the counters were about to be read.
        by_domain: every domain of the source, summed or not; empty for an estimate.
        estimate: of the model meter only.
        checks: the same window by every other source that ran along.
        edges: the marks it lies between, from which `EnergyMeter.trace` starts.
    """

    name: str
    source: MeterKind
    begin_ns: int
    end_ns: int
    by_domain: dict[str, DomainEnergy] = field(default_factory=dict)
    estimate: Estimate | None = None
    checks: tuple[CheckedEnergy, ...] = ()
    edges: tuple[Mark, Mark] | None = field(default=None, repr=False, compare=False)

    @property
    def duration_s(self) -> float:
        """Length of the window."""
        return (self.end_ns - self.begin_ns) / 1e9

    @property
    def summed(self) -> tuple[str, ...]:
        """The domains of which `total_j` is the sum."""
        return tuple(each.domain.id for each in self.parts())

    @property
    def package_j(self) -> float | None:
        """Energy of all CPU packages."""
        return sum_j(self.parts(DomainKind.PACKAGE))

    @property
    def dram_j(self) -> float | None:
        """Energy of all DRAM domains; None also where the machine has no such counter."""
        return sum_j(self.parts(DomainKind.DRAM))

    @property
    def total_j(self) -> float | None:
        """Energy of the domains in `summed`: packages and DRAM, where there is such a counter."""
        return sum_j(self.parts())

    @property
    def package_uncertainty_j(self) -> float | None:
        """Bound of the counting error of `package_j`."""
        return sum_uncertainty_j(self.parts(DomainKind.PACKAGE))

    @property
    def dram_uncertainty_j(self) -> float | None:
        """Bound of the counting error of `dram_j`."""
        return sum_uncertainty_j(self.parts(DomainKind.DRAM))

    @property
    def total_uncertainty_j(self) -> float | None:
        """Bound of the counting error of `total_j`: one count, one update and the read-out at each end."""
        return sum_uncertainty_j(self.parts())

    @property
    def power_w(self) -> float | None:
        """Mean power of `total_j`."""
        return self.total_j / self.duration_s if self.total_j is not None and self.duration_s > 0 else None

    @property
    def estimated_j(self) -> float | None:
        """What the model meter estimates; never a part of any total."""
        return self.estimate.energy_j if self.estimate else None

    @property
    def estimated_power_w(self) -> float | None:
        """Mean power that the model meter estimates."""
        return self.estimate.power_w if self.estimate else None

    @property
    def quality(self) -> Quality:
        """The worst quality of what is summed; of the estimate where nothing is measured."""
        if counted := self.parts():
            return max((each.quality for each in counted), key=list(Quality).index)
        return Quality.UNAVAILABLE if self.estimated_j is None else Quality.ESTIMATED

    @property
    def wraps(self) -> int:
        """Counter wraps in what is summed, accounted for."""
        return sum(each.wraps for each in self.parts())

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Flags of what is summed, and whether a check disagrees."""
        found = {flag for each in self.parts() for flag in each.flags}
        return tuple(sorted(found | {Flag.CROSS_CHECK} if self.disagreements else found))

    @property
    def disagreements(self) -> tuple[str, ...]:
        """What the checks disagree with, one line a domain."""
        return tuple(text for check in self.checks for text in check.disagreements)

    @property
    def reason(self) -> str | None:
        """Why something is unavailable, implausible or disagreed with, one line a cause; None if nothing is."""
        reasons = [each.reason for each in self.parts() if each.reason]
        if self.estimate and self.estimate.reason:
            reasons.append(self.estimate.reason)
        return "\n".join([*reasons, *self.disagreements]) or None

    def parts(self, kind: DomainKind | None = None, package: int | None = None) -> tuple[DomainEnergy, ...]:
        """The domains that totals include, of one kind and one package (socket) if given.

        `sum_j` and `sum_uncertainty_j` add them up: `sum_j(window.parts(DomainKind.PACKAGE, 0))` is socket 0.
        """
        return counted(self.by_domain, kind, package)

    def __str__(self) -> str:
        if self.estimate:
            return f"{self.name}: {_joules(self.estimated_j)} ESTIMATED in {self.duration_s:.3f} s"
        summed = ", ".join(f"{each.domain.id} {_joules(each.joules)}" for each in self.parts())
        wrong = "; ".join(f"{check.source} DISAGREES" for check in self.checks if check.disagreements)
        return f"{self.name}: {_joules(self.total_j)} in {self.duration_s:.3f} s ({summed}){wrong and '; '}{wrong}"


def counted(
    by_domain: Mapping[str, DomainEnergy], kind: DomainKind | None = None, package: int | None = None
) -> tuple[DomainEnergy, ...]:
    """The domains that totals include, of one kind and one package (socket) if given."""
    return tuple(
        each
        for each in by_domain.values()
        if each.domain.counted and kind in (None, each.domain.kind) and package in (None, each.domain.package)
    )


def sum_j(energies: Iterable[DomainEnergy]) -> float | None:
    """Sum of energies; None if there are none or if one is unavailable."""
    return _sum(each.joules for each in energies)


def sum_uncertainty_j(energies: Iterable[DomainEnergy]) -> float | None:
    """Uncertainty of `sum_j`: plain sum, because all domains are read at the same instants."""
    return _sum(each.uncertainty_j for each in energies)


def energies_between(domains: Sequence[Domain], begin: Mark, end: Mark) -> dict[str, DomainEnergy]:
    """Energy of every domain between two marks of one meter.

    Args:
        domains: every domain of the source.
        begin: the earlier mark.
        end: the later one.
    """
    return {domain.id: _between(domain, begin, end) for domain in domains}


def uncertainty_nj(domain: Domain, begin: Mark, end: Mark) -> float:
    """Bound of the counting error: at each end one step, and the maximum power for one update period and one read.

    The maximum and not the window's mean, because a window may be busy at its edges only.

    Args:
        domain: the counter.
        begin: the window's first mark.
        end: its last.
    """
    blur_ns = 2 * domain.update_ns + (begin.end_ns - begin.begin_ns) + (end.end_ns - end.begin_ns)
    return 2 * domain.step_nj + domain.max_power_w * blur_ns


def is_short(domain: Domain, duration_ns: int) -> bool:
    """Whether a window is so short that the counter's update period matters."""
    return duration_ns < SHORT_UPDATES * domain.update_ns


def edge_power_w(domain: Domain, energy_nj: float, duration_ns: int) -> float:
    """Power to reckon with at the edges of a window: the mean, or the maximum where the window is short."""
    return domain.max_power_w if is_short(domain, duration_ns) else energy_nj / duration_ns


def _between(domain: Domain, begin: Mark, end: Mark) -> DomainEnergy:
    first, last = begin.tracks[domain.id], end.tracks[domain.id]
    if reason := _unknown(first, last):
        return DomainEnergy(domain=domain, joules=None, quality=Quality.UNAVAILABLE, reason=reason)
    advance_nj, duration_ns = energy_nj(domain, first, last), end.begin_ns - begin.end_ns
    if domain.counted and advance_nj <= domain.step_nj and duration_ns >= STALLED_NS:
        reason = (
            f"{domain.path}: stood still for {duration_ns / 1e9:.5g} s: it does not count "
            f"(a virtual machine that shows a constant, or a driver that was unloaded). Cure: measure on bare metal, "
            f"or load the driver again and open the meter again"
        )
        return DomainEnergy(domain=domain, joules=None, quality=Quality.UNAVAILABLE, reason=reason)
    short = is_short(domain, duration_ns)
    implausible = last.implausible > first.implausible
    return DomainEnergy(
        domain=domain,
        joules=advance_nj / 1e9,
        quality=Quality.MEASURED,
        wraps=last.wraps - first.wraps,
        reason=last.implausible_reason if implausible else None,
        flags=_flags(implausible=implausible, short=short, read_failed=last.failures > first.failures),
        uncertainty_j=uncertainty_nj(domain, begin, end) / 1e9,
    )


def _unknown(first: Track, last: Track) -> str | None:
    """Why the energy between two tracks is not known, or None."""
    if first.failure:
        return f"could not be read when the window began: {first.failure}"
    if last.failure:
        return f"could not be read when the window ended: {last.failure}"
    return last.break_reason if last.breaks > first.breaks else None


def _flags(*, implausible: bool, short: bool, read_failed: bool) -> tuple[Flag, ...]:
    states = {Flag.IMPLAUSIBLE: implausible, Flag.SHORT: short, Flag.READ_FAILED: read_failed}
    return tuple(flag for flag, holds in states.items() if holds)


def _sum(values: Iterable[float | None]) -> float | None:
    total: float | None = None
    for value in values:
        if value is None:
            return None
        total = value if total is None else total + value
    return total


def _joules(value: float | None) -> str:
    return "unavailable" if value is None else f"{value:.6g} J"
