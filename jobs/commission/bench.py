"""What every step of commissioning measures with: meter, clock, a way to wait, a way to say how far it is."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobs.commission.load import Load, available
from jobs.cpu_time import machine_s
from sipa.energy.meter import EnergyMeter

_LOOK_S = 1.0


class RunningLoad(Protocol):
    """What keeps CPUs busy (`jobs.commission.load.Load`)."""

    @property
    def cpus(self) -> tuple[int, ...]:
        """The CPUs that it keeps busy."""

    def check(self) -> None:
        """Raise HostError if it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What reaches outside: clock, waiting, load, meter. A simulation has others.

    Attributes:
        clock_ns: monotonic nanoseconds.
        sleep: waits so many seconds.
        load: a load on every CPU, not yet running.
        meter: makes the meter, with the arguments of `EnergyMeter`.
    """

    clock_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep
    load: Callable[[], AbstractContextManager[RunningLoad]] = lambda: Load(available())
    meter: Callable[..., EnergyMeter] = EnergyMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and with what a node is measured.

    Attributes:
        meter: open, with a trace of one sample a second.
        root: where `sys` and `proc` are.
        say: told the share of the present step that is done (None: unknown) and a word about it.
        effects: clock, waiting, load.
    """

    meter: EnergyMeter
    root: Path
    say: Callable[[float | None, str], None]
    effects: Effects

    def now_s(self) -> float:
        """Monotonic seconds."""
        return self.effects.clock_ns() / 1e9

    def rest(self, length_s: float) -> None:
        """Do nothing for so long, and say once a second how much of it is over."""
        begin_s = self.now_s()
        while (left_s := length_s - (self.now_s() - begin_s)) > 0:
            self.say(1 - left_s / length_s, "")
            self.effects.sleep(min(left_s, _LOOK_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """CPU seconds since boot; None where unreadable.

    Attributes:
        all_s: of everything on the machine.
        total_s: busy or not, of all CPUs.
        own_s: of this process.
    """

    all_s: float | None
    total_s: float | None
    own_s: float


def busy(root: Path) -> Busy:
    """CPU times now."""
    all_s, total_s = machine_s(root)
    return Busy(all_s=all_s, total_s=total_s, own_s=time.process_time())


def others_cores(begin: Busy, end: Busy, duration_s: float) -> float | None:
    """CPUs that everything but this process kept busy; None where the times do not advance."""
    if begin.all_s is None or end.all_s is None or begin.total_s == end.total_s or duration_s <= 0:
        return None
    return max(0.0, (end.all_s - begin.all_s) - (end.own_s - begin.own_s)) / duration_s


def utilisation(begin: Busy, end: Busy) -> float | None:
    """Busy share of all CPUs, 0 to 1; None where the times do not advance."""
    if begin.all_s is None or end.all_s is None or begin.total_s is None or end.total_s is None:
        return None
    total_s = end.total_s - begin.total_s
    return min(1.0, (end.all_s - begin.all_s) / total_s) if total_s > 0 else None
