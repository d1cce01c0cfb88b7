"""Energy of the whole process, by one of two ways: the worker's own window round it, or the source paper's `perf stat`.

With `scope = "process"` the numbers of the process are perf's, so that they are the paper's and nothing else; those of
the inference window stay the meter's. perf counts from the start of the process to its end, our own start-up included.
"""

from dataclasses import dataclass
from pathlib import Path

from jobs.perf_stat import PerfStat, PerfStatEnergy
from jobs.rows import phase_columns, phase_flags, phase_rows
from sipa.energy.window import EnergyWindow, Quality
from sipa.errors import MeterError
from sipa.spec.model import Scope
from sipa.trial import Row

PROCESS = "process"
MEASURED_BY_PERF_STAT = f"{Quality.MEASURED.value} (perf stat)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnergy:
    """What the whole process took.

    Attributes:
        columns: of the row.
        phases: of the long form.
        flags: why a number that was asked for is missing.
        valid: False where one is.
    """

    columns: Row
    phases: tuple[Row, ...]
    flags: tuple[str, ...] = ()
    valid: bool = True


def by_meter(outer: EnergyWindow, scope: Scope) -> ProcessEnergy:
    """The process as the worker's own meter saw it."""
    flags = phase_flags(PROCESS, outer)
    if scope is Scope.PROCESS:
        why = "without energy counters there is nothing for perf stat to count; the process has estimates only"
        flags.append(f"scope: {why}")
    return ProcessEnergy(
        columns=phase_columns(PROCESS, [outer]), phases=tuple(phase_rows(PROCESS, outer)), flags=tuple(flags)
    )


def by_perf_stat(perf_stat: PerfStat, output: Path, outer: EnergyWindow) -> ProcessEnergy:
    """The process as `perf stat` saw it.

    Args:
        perf_stat: what it ran under.
        output: what that printed.
        outer: the worker's window round both; gives begin and end.
    """
    reason: str | None = None
    found: PerfStatEnergy | None = None
    try:
        found = perf_stat.read(output)
    except MeterError as error:
        reason = str(error)
    package_j, dram_j = (found.package_j, found.dram_j) if found else (None, None)
    reasons = found.reasons if found else ()
    return ProcessEnergy(
        columns={
            "duration_process_s": found.duration_s if found and found.duration_s else outer.duration_s,
            "energy_pkg_process_j": package_j,
            "energy_dram_process_j": dram_j,
        },
        phases=(
            _phase_row(outer, "package", package_j, reason),
            _phase_row(outer, "dram", dram_j, reason or "; ".join(reasons) or None),
        ),
        flags=(f"perf stat: {reason}",) if reason else (),
        valid=reason is None,
    )


def _phase_row(outer: EnergyWindow, domain: str, energy_j: float | None, reason: str | None) -> Row:
    return {
        "phase": PROCESS,
        "domain": domain,
        "begin_ns": outer.begin_ns,
        "end_ns": outer.end_ns,
        "energy_j": energy_j,
        "quality": Quality.UNAVAILABLE.value if energy_j is None else MEASURED_BY_PERF_STAT,
        "reason": None if energy_j is not None else reason,
    }
