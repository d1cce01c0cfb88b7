"""A window as numbers for a file: joules and watts of every counter, what a second counter said, and why not."""

from collections.abc import Mapping
from dataclasses import dataclass

from sipa.energy.readings import DomainKind
from sipa.energy.window import DomainEnergy, EnergyWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One counter in one window.

    Attributes:
        domain: `pkg0`, `dram1`, ...
        kind: package, dram, ...
        counted: whether totals include it.
        energy_j: None if unavailable.
        power_w: mean.
        uncertainty_j: bound of the counting error.
        wraps: inside the window, accounted for.
        reason: why it is unavailable or implausible.
    """

    domain: str
    kind: str
    counted: bool
    energy_j: float | None
    power_w: float | None
    uncertainty_j: float | None
    wraps: int
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What another counter of the same windows said.

    Attributes:
        source: perf beside powercap, or the other way round.
        energy_j: by domain; None if unavailable.
        disagreements: what lies outside the tolerance of `sipa.energy`, in words.
    """

    source: str
    energy_j: Mapping[str, float | None]
    disagreements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One window.

    Attributes:
        counters: every counter of the source.
        total_j: of packages and DRAM; None if one of them is unavailable.
        checks: the same energy by other counters.
    """

    duration_s: float
    source: str
    counters: tuple[Counted, ...]
    total_j: float | None
    checks: tuple[Checked, ...]

    @property
    def power_w(self) -> float | None:
        """Mean power of packages and DRAM."""
        return self.total_j / self.duration_s if self.total_j is not None and self.duration_s > 0 else None

    @property
    def reasons(self) -> str:
        """Why something that totals need is unavailable or implausible; empty if nothing is."""
        return "; ".join(each.reason for each in self.counters if each.counted and each.reason)

    def of(self, kind: DomainKind) -> tuple[Counted, ...]:
        """The counters of one kind."""
        return tuple(each for each in self.counters if each.kind == kind.value)


def measured(window: EnergyWindow) -> Measured:
    """The numbers of a window."""
    return Measured(
        duration_s=window.duration_s,
        source=window.source.value,
        counters=tuple(_counted(each, window.duration_s) for each in window.by_domain.values()),
        total_j=window.total_j,
        checks=tuple(
            Checked(
                source=check.source.value,
                energy_j={domain: each.joules for domain, each in check.by_domain.items()},
                disagreements=tuple(check.disagreements),
            )
            for check in window.checks
        ),
    )


def _counted(each: DomainEnergy, duration_s: float) -> Counted:
    return Counted(
        domain=each.domain.id,
        kind=each.domain.kind.value,
        counted=each.domain.counted,
        energy_j=each.joules,
        power_w=each.joules / duration_s if each.joules is not None and duration_s > 0 else None,
        uncertainty_j=each.uncertainty_j,
        wraps=each.wraps,
        reason=each.reason,
    )
