"""An estimate of CPU energy from declared watts and CPU utilisation: for machines without counters.

It is no measurement and has its own type. Estimators of this kind are off by up to 40 % (Fischer 2025,
arXiv 2509.22092) and know nothing of memory, vector width or frequency: energy follows time by construction.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sipa.energy.readings import CpuTimes, Domain, Reading
from sipa.energy.source import MeterKind
from sipa.errors import MeterError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Energy that a power model ascribes to a window.

    Attributes:
        energy_j: None where the utilisation is unknown.
        power_w: the same as mean power.
        utilisation: of all CPUs, 0 to 1.
        idle_w: declared power of the idle machine.
        max_w: declared power of the fully used machine.
        reason: why there is no estimate.
    """

    energy_j: float | None
    power_w: float | None
    utilisation: float | None
    idle_w: float
    max_w: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """Idle power plus utilisation times the rest.

    Attributes:
        idle_w: power of the idle machine, declared by the user.
        max_w: power with all CPUs busy, declared by the user.

    Raises:
        UsageError: not 0 <= idle_w <= max_w, or max_w is 0 or not finite.
    """

    idle_w: float
    max_w: float

    def __post_init__(self) -> None:
        if not (0 <= self.idle_w <= self.max_w and 0 < self.max_w < math.inf):
            raise UsageError(
                f"a power model needs 0 <= idle_w <= max_w and 0 < max_w < infinity, "
                f"got idle_w={self.idle_w}, max_w={self.max_w}"
            )

    def estimate(self, begin: CpuTimes, end: CpuTimes, duration_s: float, asleep_s: float = 0.0) -> Estimate:
        """Energy between two instants; none if the host was suspended, of which the model knows nothing.

        Args:
            begin: CPU times when the window began.
            end: CPU times when it ended.
            duration_s: length of the window.
            asleep_s: time in suspend within it, which no clock or CPU time counts.
        """
        utilisation = utilisation_between(begin, end)
        reason = "the window is shorter than a clock tick of /proc/stat" if utilisation is None else None
        if asleep_s:
            utilisation, reason = None, f"the host was suspended for {asleep_s:.5g} s. Cure: measure again"
        power_w = None if utilisation is None else self.idle_w + utilisation * (self.max_w - self.idle_w)
        return Estimate(
            energy_j=None if power_w is None else power_w * duration_s,
            power_w=power_w,
            utilisation=utilisation,
            idle_w=self.idle_w,
            max_w=self.max_w,
            reason=reason,
        )


class ModelSource:
    """CPU times of the whole machine, read behind the same protocol as the counters; it has no domain.

    Args:
        root: where `proc` is.
        clock: monotonic nanoseconds.

    Raises:
        MeterError: `/proc/stat` cannot be read.
    """

    kind = MeterKind.MODEL
    domains: tuple[Domain, ...] = ()

    def __init__(self, root: Path = Path("/"), clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._path = root / "proc/stat"
        self._clock = clock
        self.read()

    def open(self) -> None:
        """Nothing is kept open."""

    def read(self) -> Reading:
        """CPU times now.

        Raises:
            MeterError: `/proc/stat` cannot be read.
        """
        begin_ns = self._clock()
        cpu = read_cpu_times(self._path)
        return Reading(begin_ns=begin_ns, end_ns=self._clock(), values_uj={}, cpu=cpu)

    def close(self) -> None:
        """Nothing is kept open."""


def utilisation_between(begin: CpuTimes, end: CpuTimes) -> float | None:
    """Share of the time that the CPUs were busy, 0 to 1; None if not even a clock tick passed."""
    busy, total = end.busy - begin.busy, end.total - begin.total
    return min(max(busy / total, 0.0), 1.0) if total > 0 else None


def read_cpu_times(path: Path) -> CpuTimes:
    """CPU times of all CPUs together from the first line of `/proc/stat` (proc_stat(5)).

    Raises:
        MeterError: the file is missing or is not of that form.
    """
    try:
        with path.open("rb") as file:
            label, *ticks = file.readline().split()
        # guest and guest_nice, which follow, are already part of user and nice.
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, ticks[:8])
    except (OSError, ValueError) as error:
        raise MeterError(f"{path}: CPU times cannot be read: {error}") from error
    if label != b"cpu":
        raise MeterError(f"{path}: the first line does not begin with 'cpu'")
    busy = user + nice + system + irq + softirq
    return CpuTimes(busy=busy, total=busy + idle + iowait + steal)
