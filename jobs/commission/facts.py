"""What a node has to measure with: sources, counters, clock, energy filter; and what `doctor --node` says of it.

Everything here is read, not measured: it takes no time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import sysfs
from jobs.commission.lengths import ToWrap
from jobs.commission.verdict import Finding, Verdict, finding
from jobs.preflight import Check, checks
from sipa.energy.meter import EnergyMeter
from sipa.energy.readings import Domain, DomainKind
from sipa.energy.selection import why_unusable
from sipa.energy.source import MeterKind, Source
from sipa.errors import MeterError

METERS = (MeterKind.POWERCAP, MeterKind.PERF)
"""The counters that a node may have; the first usable one is the source, the other a check."""

_OURSELVES = ("node's lock", "commissioning")
"""Checks that would find the commissioning that makes them."""

_STEADY_CLOCKS = ("tsc", "arch_sys_counter")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFact:
    """One way to energy.

    Attributes:
        name: powercap, perf or dcmi.
        role: source, check, sensor, or unused.
        reason: why it cannot be used; empty if it can.
    """

    name: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFact:
    """One counter.

    Attributes:
        domain: `pkg0`, ...
        kind: package, dram, ...
        counted: whether totals include it.
        package: socket; None for the whole machine.
        path: file or event.
        range_j: it wraps after that much.
        count_j: what one count is worth.
        max_power_w: what no reading may exceed.
        sustained_w: the limit that the zone declares for long; None where it declares none.
        to_wrap_j: energy left until it wraps, when commissioning began; None where it does not.
    """

    domain: str
    kind: str
    counted: bool
    package: int | None
    path: str
    range_j: float
    count_j: float
    max_power_w: float
    sustained_w: float | None
    to_wrap_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a node has to measure with.

    Attributes:
        ignored: zones that are left out, with the reason.
        clocksource: the kernel's clock; None where unreadable.
        checks: of `doctor --node`.
    """

    sources: tuple[SourceFact, ...]
    counters: tuple[CounterFact, ...]
    ignored: tuple[str, ...]
    clocksource: str | None
    checks: tuple[Check, ...]

    @property
    def unused(self) -> tuple[str, ...]:
        """Why each counter that does not run along does not."""
        names = [kind.value for kind in METERS]
        return tuple(f"{each.name}: {each.reason}" for each in self.sources if each.name in names and each.reason)

    @property
    def packages(self) -> tuple[CounterFact, ...]:
        """The package counters."""
        return tuple(each for each in self.counters if each.kind == DomainKind.PACKAGE.value)


def find_facts(meter: EnergyMeter, source: Source, root: Path, *, no_dcmi: str, results: Path) -> Facts:
    """Look at the node.

    Args:
        meter: open.
        source: what it reads.
        root: where `sys` and `proc` are.
        no_dcmi: why the BMC cannot be asked; empty if it can.
        results: where files will be kept.
    """
    return Facts(
        sources=(*(_source(kind, meter, root) for kind in METERS), _bmc(no_dcmi)),
        counters=tuple(_counter(domain, meter.kind) for domain in meter.domains),
        ignored=tuple(getattr(source, "ignored", ())),
        clocksource=sysfs.text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        checks=tuple(each for each in checks(root, results=results) if each.name not in _OURSELVES),
    )


def require_counters(root: Path) -> None:
    """See that there is something to commission.

    Raises:
        MeterError: no counter is usable: why not, with the cures.
    """
    reasons = [(kind, why_unusable(kind, root)) for kind in METERS]
    if all(reason for _, reason in reasons):
        lines = [f"{kind}: {reason}" for kind, reason in reasons]
        raise MeterError("\n".join(["no energy counter can be used here, so there is nothing to commission:", *lines]))


def to_wrap(facts: Facts) -> tuple[ToWrap, ...]:
    """What is left until each package counter wraps."""
    return tuple(
        ToWrap(domain=each.domain, energy_j=each.to_wrap_j, power_w=each.sustained_w) for each in facts.packages
    )


def judge_facts(facts: Facts, environment: Mapping[str, Any]) -> Iterator[Finding]:
    """What can be said of a node before anything is measured.

    Args:
        facts: what it has.
        environment: its fingerprint.
    """
    yield _judge_counters(facts, environment.get("sockets"))
    yield _judge_filter(environment.get("energy_filter"))
    yield _judge_clock(facts.clocksource)
    yield _judge_metal(bool(environment.get("hypervisor")))


def _judge_counters(facts: Facts, sockets: int | None) -> Finding:
    title, why = (
        "Counters of every socket",
        "a socket without a counter is missing from every total, and no number looks wrong",
    )
    counted = [each.domain for each in facts.counters if each.counted]
    packages = {each.package for each in facts.packages}
    text = f"{', '.join(counted)} on {sockets or '?'} sockets"
    if sockets is None:
        return finding("counters", title, Verdict.UNKNOWN, f"{text}: the topology cannot be read", why=why)
    verdict = Verdict.OK if len(packages) == sockets else Verdict.FAIL
    return finding("counters", title, verdict, text, why=why, cure="sudo modprobe intel_rapl_msr; see dmesg")


def _judge_filter(filtered: bool | None) -> Finding:
    title = "Energy filter"
    why = "with SGX, or MSR 0xBC bit 0, the counters are noised on purpose (INTEL-SA-00389)"
    if filtered is None:
        cure = "sudo modprobe msr, then commission as root"
        return finding("energy-filter", title, Verdict.UNKNOWN, "MSR 0xBC cannot be read", why=why, cure=cure)
    cure = "switch SGX off in the BIOS, or measure on another node"
    text = "on: energies are noised" if filtered else "off"
    return finding("energy-filter", title, Verdict.FAIL if filtered else Verdict.OK, text, why=why, cure=cure)


def _judge_clock(clocksource: str | None) -> Finding:
    title, why = "Clock", "power is energy over time: a clock that jumps or is slow to read is in every window"
    if clocksource is None:
        return finding("clock", title, Verdict.UNKNOWN, "the kernel's clock source cannot be read", why=why)
    verdict = Verdict.OK if clocksource in _STEADY_CLOCKS else Verdict.WARN
    cure = "see dmesg for why the kernel gave the time stamp counter up (clocksource=tsc)"
    return finding("clock", title, verdict, clocksource, why=why, cure=cure)


def _judge_metal(virtual: bool) -> Finding:
    title, why = "Bare metal", "other guests of the same host are in the same counters, caches and clocks"
    text = "a virtual machine" if virtual else "no hypervisor"
    return finding("bare-metal", title, Verdict.FAIL if virtual else Verdict.OK, text, why=why, cure="use bare metal")


def _source(kind: MeterKind, meter: EnergyMeter, root: Path) -> SourceFact:
    role = "source" if kind is meter.kind else "check" if kind in meter.checks else "unused"
    reason = (why_unusable(kind, root) or "") if role == "unused" else ""
    return SourceFact(name=kind.value, role=role, reason=reason)


def _bmc(no_dcmi: str) -> SourceFact:
    return SourceFact(name="dcmi", role="unused" if no_dcmi else "sensor", reason=no_dcmi)


def _counter(domain: Domain, kind: MeterKind) -> CounterFact:
    wraps = kind is MeterKind.POWERCAP
    folder = Path(domain.path).parent
    return CounterFact(
        domain=domain.id,
        kind=domain.kind.value,
        counted=domain.counted,
        package=domain.package,
        path=domain.path,
        range_j=domain.turn * domain.count_nj / 1e9,
        count_j=domain.count_nj / 1e9,
        max_power_w=domain.max_power_w,
        sustained_w=_sustained_w(folder) if wraps else None,
        to_wrap_j=left_j(domain) if wraps else None,
    )


def left_j(domain: Domain) -> float | None:
    """Energy until a counter of powercap wraps, from now; None where it cannot be read."""
    now_uj = sysfs.number(Path(domain.path))
    return None if now_uj is None else domain.turn * domain.count_nj / 1e9 - now_uj / 1e6


def _sustained_w(zone: Path) -> float | None:
    """The limit that is set for long, else the largest that may be set (powercap: constraint 0 is the long term)."""
    for name in ("constraint_0_power_limit_uw", "constraint_0_max_power_uw"):
        if power_uw := sysfs.number(zone / name):
            return power_uw / 1e6
    return None
