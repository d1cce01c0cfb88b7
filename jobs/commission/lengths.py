"""How long each step of a commissioning takes, in full and as a rehearsal, and what the whole will take.

Nearly all of it is one wrap of the package counter: 2^32 counts at the power of the stress, half an hour at 165 W.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

_CONTROL_START_S, _CONTROL_WARM_UP = 4.0, 0.1
"""Starting and loading the control workload, and its warm-up as a share of it; only the forecast uses them."""

LIMIT_S = 45 * 60.0

NO_WRAP_S = 600.0
"""Stress where no counter wraps, because the kernel widens it (perf): long enough for a steady state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What each step is given.

    Attributes:
        idle_s: the machine doing nothing.
        block_s: means over so long are compared within it: the idle windows of trials are about as long.
        reads: reads of all counters; of a single one as many.
        spin_s: time that each counter is watched for updates.
        after_wrap_s: the stress goes on so long after the last wrap.
        stress_limit_s: it ends then, wrapped or not.
        compare_s: time over which the node's own power sensor is compared, idle and under stress each.
        controls: runs of the control workload.
        control_s: nominal length of one.
        quick: a rehearsal of the program rather than evidence about the node.
    """

    idle_s: float = 600.0
    block_s: float = 60.0
    reads: int = 5000
    spin_s: float = 2.0
    after_wrap_s: float = 60.0
    stress_limit_s: float = LIMIT_S
    compare_s: float = 30.0
    controls: int = 5
    control_s: float = 60.0
    quick: bool = False

    @property
    def control_total_s(self) -> float:
        """All runs of the control workload, with what is around them."""
        return self.controls * ((1 + _CONTROL_WARM_UP) * self.control_s + _CONTROL_START_S)


FULL = Lengths()
QUICK = Lengths(
    idle_s=10.0,
    block_s=1.0,
    reads=500,
    spin_s=0.5,
    after_wrap_s=3.0,
    stress_limit_s=20.0,
    compare_s=2.0,
    controls=3,
    control_s=0.3,
    quick=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToWrap:
    """What is left until a package counter wraps.

    Attributes:
        domain: the counter.
        energy_j: that much; None where the counter does not wrap.
        power_w: what the package may draw for long; None where it declares no limit.
    """

    domain: str
    energy_j: float | None
    power_w: float | None

    @property
    def time_s(self) -> float | None:
        """Time at that power."""
        return self.energy_j / self.power_w if self.energy_j is not None and self.power_w else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a commissioning will take.

    Attributes:
        total_s: all of it.
        stress_s: of this, the stress.
        at_most: whether the stress was taken at its limit, because nothing better is known.
    """

    total_s: float
    stress_s: float
    at_most: bool


def forecast(lengths: Lengths, packages: Iterable[ToWrap], counters: int) -> Forecast:
    """Expected times.

    Args:
        lengths: what each step is given.
        packages: every package counter.
        counters: number of all counters.
    """
    times = [each.time_s for each in packages]
    known = [time for time in times if time is not None]
    sure = len(known) == len(times) > 0
    stress = max(known) + lengths.after_wrap_s if sure else lengths.stress_limit_s
    at_most = not sure or stress > lengths.stress_limit_s
    stress = min(stress, lengths.stress_limit_s)
    short = lengths.spin_s * counters + 2 * lengths.compare_s
    total = lengths.idle_s + short + lengths.control_total_s + stress
    return Forecast(total_s=total, stress_s=stress, at_most=at_most)


def limited(lengths: Lengths, stress_limit_s: float) -> Lengths:
    """The same with another limit of the stress."""
    return replace(lengths, stress_limit_s=stress_limit_s)
