"""The public face of energy measurement: windows over whatever energy source this machine has.

    with EnergyMeter() as meter, meter.window("inference") as window:
        ...
    window.total_j, window.by_domain

All counters are read under one lock in one process, so a value and its count of wraps can never disagree. Where a
check runs along, the source's reads lie next to the work and the check's outside of them.
"""

import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

from sipa.energy.channel import Channel
from sipa.energy.crosscheck import checked
from sipa.energy.power_model import PowerModel
from sipa.energy.readings import Domain, Mark, suspended_s
from sipa.energy.selection import Clock, choose
from sipa.energy.source import MeterKind
from sipa.energy.suspension import asleep_ns
from sipa.energy.suspension import boot_clock as system_boot_clock
from sipa.energy.trace import MAX_MARKS, PowerSample, power_samples
from sipa.energy.window import EnergyWindow, energies_between
from sipa.errors import MeterError, UsageError

MAX_GUARD_S = 60.0
"""Longest pause between two reads, also of counters that wrap later; the perf PMU needs it above 200 W."""

_MIN_GUARD_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The beginning of a window. Hand it to `EnergyMeter.end`, from any thread, as often as wanted.

    Attributes:
        name: of the window.
        mark: every counter of the source at its beginning.
        meter: number of the meter that made it.
        checks: every counter of each check at its beginning.
    """

    name: str
    mark: Mark
    meter: int
    checks: tuple[Mark, ...] = ()


class EnergyMeter:
    """Energy windows from the first usable source; they may nest and overlap.

    Everything is started by the constructor, so the first window is like every other. A daemon thread reads
    the counters often enough that no wrap is missed; there is no child process. After a fork the child has
    descriptors and a thread of its own, from its first use on.

    Args:
        sources: names of `MeterKind` in order of preference, the first usable one wins, and every other counter
            (powercap, perf) that is named and usable runs along as a check; None: any one that measures. The
            model is used only where it is named.
        root: where `sys` and `proc` are.
        clock: monotonic nanoseconds.
        boot_clock: the same with time in suspend; None: the system's where `clock` is the system's, else suspends
            are not seen.
        model: declared watts, for the model.
        trace_s: read at least that often and keep what was read, for `trace`.

    Attributes:
        kind: the source in use.
        domains: its counters; empty for the model.
        checks: the sources that run along.
        passed_over: why each other one that was named is not used.

    Raises:
        MeterError: a name is unknown, or no source is usable: why not, with the cure.
        UsageError: `trace_s` is not a positive number.
    """

    def __init__(
        self,
        sources: Sequence[str] | None = None,
        *,
        root: Path = Path("/"),
        clock: Clock = time.monotonic_ns,
        boot_clock: Clock | None = None,
        model: PowerModel | None = None,
        trace_s: float | None = None,
    ) -> None:
        if trace_s is not None and not 0 < trace_s < math.inf:
            raise UsageError(f"trace_s must be a positive number of seconds, got {trace_s}")
        choice = choose(sources, Path(root), clock, model)
        self._source, *checks = self._channels = tuple(map(Channel, (choice.source, *choice.checks)))
        self._checks = tuple(checks)
        self.kind: MeterKind = choice.source.kind
        self.domains: tuple[Domain, ...] = choice.source.domains
        self.checks: tuple[MeterKind, ...] = tuple(check.kind for check in self._checks)
        self.passed_over = choice.passed_over
        self._model = model if self.kind is MeterKind.MODEL else None
        self._clock = clock
        self._boot_clock = system_boot_clock if boot_clock is None and clock is time.monotonic_ns else boot_clock
        self._trace_s = trace_s
        self._trace: deque[Mark] = deque(maxlen=MAX_MARKS)
        domains = [domain for channel in self._channels for domain in channel.domains]
        self._guard_s = min(guard_interval_s(domains), trace_s or MAX_GUARD_S) if domains else None
        self._number = next(_NUMBERS)
        self._closed = False
        self._renew()
        with self._lock:
            self._take(self._channels)
        _METERS.add(self)

    def begin(self, name: str = "window") -> Token:
        """Begin a window that need not nest with others.

        Raises:
            MeterError: the meter is closed.
        """
        with self._lock:
            *checks, mark = self._take((*self._checks, self._source))
        return Token(name=name, mark=mark, meter=self._number, checks=tuple(checks))

    def end(self, token: Token) -> EnergyWindow:
        """Energy since `begin`. The token stays valid: later calls give longer windows.

        Raises:
            MeterError: the meter is closed, or the token is another meter's.
        """
        if token.meter != self._number:
            raise MeterError(f"window {token.name!r} was begun on another meter")
        with self._lock:
            mark, *checks = self._take(self._channels)
        return self._between(token, mark, checks)

    def window(self, name: str = "window") -> "Window":
        """A window over a `with` block: its numbers are there once the block has ended, by an error too."""
        return Window(self, name)

    def poll(self) -> None:
        """Read the counters now: nobody needs to, because the guard thread does, and nobody does harm by it.

        Energy stays known as long as two reads are no further apart than `Domain.max_gap_ns`, whoever makes them.
        Where the meter keeps a trace, each poll is one mark of it. On a closed meter it does nothing.
        """
        with self._lock:
            if self._closed:
                return
            mark, *_ = self._take(self._channels)
            if self._trace_s is not None:
                self._trace.append(mark)

    def trace(self, window: "EnergyWindow | Window") -> tuple[PowerSample, ...]:
        """Power of every domain of the source over a window of this meter, in order of time.

        The guard thread reads every `trace_s` seconds; the window's own reads are the outer edges, and an interval
        shorter than half of that is joined to its neighbour. The last 86,400 reads are kept, which is a day at 1 Hz.

        Args:
            window: one of this meter, which has ended.

        Raises:
            MeterError: the meter was made without `trace_s`, or the window is not one of its own.
        """
        energy = window.energy if isinstance(window, Window) else window
        if self._trace_s is None:
            raise MeterError("this meter keeps no trace. Cure: EnergyMeter(trace_s=1.0)")
        if energy.edges is None or set(energy.by_domain) != {domain.id for domain in self.domains}:
            raise MeterError(f"window {energy.name!r} was not measured by this meter")
        with self._lock:
            marks = list(self._trace)
        return power_samples(self.domains, energy.edges, marks, self._trace_s)

    def after_fork(self) -> None:
        """In the child of a fork: let the parent's descriptors go at once, take own ones at the next use."""
        if not self._closed:
            self._release()
        self._renew()

    def close(self) -> None:
        """Close descriptors and stop the thread; closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._stop.set()
            self._release()
            guard = self._guard
        if guard is not None and guard is not threading.current_thread():
            guard.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        # No lock here: a garbage collection may run this in any thread, and the guard ends without its meter.
        if hasattr(self, "_channels"):
            self._release()

    def __repr__(self) -> str:
        domains = ", ".join(domain.id for domain in self.domains)
        checks = f", checked by {', '.join(self.checks)}" if self.checks else ""
        return f"<EnergyMeter {self.kind}{': ' if domains else ''}{domains}{checks}>"

    def _take(self, channels: Iterable[Channel]) -> list[Mark]:
        """One more reading of every counter, in the order of the channels; the caller holds the lock."""
        if self._closed:
            raise MeterError("the meter is closed: open a new one")
        if not self._started:
            self._start()
        asleep = None if self._boot_clock is None else asleep_ns(self._clock, self._boot_clock)
        return [channel.take(asleep) for channel in channels]

    def _between(self, token: Token, mark: Mark, checks: Sequence[Mark]) -> EnergyWindow:
        window = EnergyWindow(
            name=token.name,
            source=self.kind,
            begin_ns=token.mark.end_ns,
            end_ns=mark.begin_ns,
            by_domain=energies_between(self.domains, token.mark, mark),
            edges=(token.mark, mark),
        )
        if self._checks:
            marks = zip(self._checks, token.checks, checks, strict=True)
            window = replace(window, checks=tuple(checked(window, each.kind, each.domains, *at) for each, *at in marks))
        if self._model is None or token.mark.cpu is None or mark.cpu is None:
            return window
        asleep_s = suspended_s(token.mark, mark)
        return replace(window, estimate=self._model.estimate(token.mark.cpu, mark.cpu, window.duration_s, asleep_s))

    def _release(self) -> None:
        """Close the descriptors of every source."""
        for channel in self._channels:
            channel.source.close()

    def _renew(self) -> None:
        """What a process cannot inherit: a lock that another thread may hold, and a thread."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._guard: threading.Thread | None = None
        self._started = False

    def _start(self) -> None:
        """Open what a fork closed, and start the guard where there is a counter that can wrap."""
        for channel in self._channels:
            channel.source.open()
        if self._guard_s is not None:
            self._guard = threading.Thread(
                target=_guard,
                args=(weakref.ref(self), self._stop, self._guard_s),
                name="energy-guard",
                daemon=True,
            )
            self._guard.start()
        self._started = True


class Window:
    """The window of a `with` block: afterwards everything that an `EnergyWindow` has, as in `window.total_j`.

    Attributes:
        name: the caller's.
    """

    def __init__(self, meter: EnergyMeter, name: str) -> None:
        self.name = name
        self._meter = meter
        self._token: Token | None = None
        self._energy: EnergyWindow | None = None

    @property
    def energy(self) -> EnergyWindow:
        """What was measured.

        Raises:
            MeterError: the block has not ended yet.
        """
        if self._energy is None:
            raise MeterError(f"window {self.name!r} has not ended: its energy is known after the with block")
        return self._energy

    def __enter__(self) -> Self:
        self._token = self._meter.begin(self.name)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._token is not None:
            self._energy = self._meter.end(self._token)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.energy, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(EnergyWindow) if name[0] != "_")})

    def __repr__(self) -> str:
        return f"<Window {self.name}: running>" if self._energy is None else f"<Window {self._energy}>"


def guard_interval_s(domains: Sequence[Domain]) -> float:
    """Pause between two reads of the guard: a quarter of the shortest time to a wrap, at most a minute."""
    return max(_MIN_GUARD_S, min([MAX_GUARD_S, *(domain.max_gap_ns / 4e9 for domain in domains)]))


def _guard(meter_of: Callable[[], EnergyMeter | None], stop: threading.Event, interval_s: float) -> None:
    """Poll until the meter is closed or forgotten; it is not kept alive between two polls."""
    while not stop.wait(interval_s):
        meter = meter_of()
        if meter is None:
            return
        meter.poll()
        del meter


_NUMBERS = count()
_METERS: "weakref.WeakSet[EnergyMeter]" = weakref.WeakSet()


def _after_fork() -> None:
    for meter in list(_METERS):
        meter.after_fork()


os.register_at_fork(after_in_child=_after_fork)
