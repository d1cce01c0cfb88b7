"""Values that judgement is tested with: windows, distributions, facts, without a machine."""

from collections.abc import Mapping, Sequence

from jobs.commission.distribution import Distribution, distribution
from jobs.commission.measured import Checked, Counted, Measured
from sipa.control import ControlResult

KINDS = {"pkg": "package", "dram": "dram", "core": "core"}


def window(
    watts: Mapping[str, float | None],
    *,
    duration_s: float = 600.0,
    checks: Sequence[Checked] = (),
    reasons: Mapping[str, str] | None = None,
) -> Measured:
    """A window with these mean powers; a counter without one is unavailable."""
    counters = tuple(
        Counted(
            domain=domain,
            kind=KINDS[domain.rstrip("0123456789")],
            counted=not domain.startswith("core"),
            energy_j=None if power_w is None else power_w * duration_s,
            power_w=power_w,
            uncertainty_j=0.1,
            wraps=0,
            reason=(reasons or {}).get(domain),
        )
        for domain, power_w in watts.items()
    )
    counted = [each.energy_j for each in counters if each.counted]
    total_j = None if None in counted else sum(each for each in counted if each is not None)
    return Measured(duration_s=duration_s, source="powercap", counters=counters, total_j=total_j, checks=tuple(checks))


def checked(energy_j: Mapping[str, float | None], *disagreements: str) -> Checked:
    """What perf says of the same window."""
    return Checked(source="perf", energy_j=dict(energy_j), disagreements=disagreements)


def times(*microseconds: float) -> Distribution:
    """A distribution of times."""
    found = distribution(round(each * 1000) for each in microseconds)
    assert found is not None
    return found


def control(energy_j: float | None, duration_s: float, sequence: int = 0, reason: str = "") -> ControlResult:
    """One run of the control workload."""
    return ControlResult(
        control_id="v1 loop 60 s x 4",
        node="n",
        session_id="s",
        sequence=sequence,
        after_block=0,
        environment_id="e",
        started_at="2026-11-20T10:00:00+00:00",
        duration_s=duration_s,
        energy_total_j=energy_j,
        energy_pkg_j=energy_j,
        temperature_end_c=60.0,
        reason=reason,
    )
