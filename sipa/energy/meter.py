"""The public face of energy measurement: windows over whatever energy source this machine has.

    with EnergyMeter() as meter, meter.window("inference") as window:
        ...
    window.total_j, window.by_domain

All counters are read under one lock in one process, so a value and its count of wraps can never disagree.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

from sipa.energy.power_model import PowerModel
from sipa.energy.readings import Domain, Mark, advance
from sipa.energy.selection import Clock, first_usable
from sipa.energy.source import MeterKind
from sipa.energy.window import EnergyWindow, energies_between
from sipa.errors import MeterError

MAX_GUARD_S = 60.0
"""Longest pause between two reads, also of counters that wrap later; the perf PMU needs it above 200 W."""

_MIN_GUARD_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The beginning of a window. Hand it to `EnergyMeter.end`, from any thread, as often as wanted.

    Attributes:
        name: of the window.
        mark: every counter at its beginning.
        meter: number of the meter that made it.
    """

    name: str
    mark: Mark
    meter: int


class EnergyMeter:
    """Energy windows from the first usable source; they may nest and overlap.

    Everything is started by the constructor, so the first window is like every other. A daemon thread reads
    the counters often enough that no wrap is missed; there is no child process. After a fork the child has
    descriptors and a thread of its own, from its first use on.

    Args:
        sources: names of `MeterKind` in order of preference, the first usable one wins; None: any that
            measures. The model is used only where it is named.
        root: where `sys` and `proc` are.
        clock: monotonic nanoseconds.
        model: declared watts, for the model.

    Attributes:
        kind: the source in use.
        domains: its counters; empty for the model.
        passed_over: why each source that was preferred to it is not used.

    Raises:
        MeterError: a name is unknown, or no source is usable: why not, with the cure.
    """

    def __init__(
        self,
        sources: Sequence[str] | None = None,
        *,
        root: Path = Path("/"),
        clock: Clock = time.monotonic_ns,
        model: PowerModel | None = None,
    ) -> None:
        self._source, self.passed_over = first_usable(sources, root, clock, model)
        self.kind: MeterKind = self._source.kind
        self.domains: tuple[Domain, ...] = self._source.domains
        self._model = model if self.kind is MeterKind.MODEL else None
        self._number = next(_NUMBERS)
        self._mark: Mark | None = None
        self._closed = False
        self._renew()
        with self._lock:
            self._take()
        _METERS.add(self)

    def begin(self, name: str = "window") -> Token:
        """Begin a window that need not nest with others.

        Raises:
            MeterError: the meter is closed.
        """
        with self._lock:
            return Token(name=name, mark=self._take(), meter=self._number)

    def end(self, token: Token) -> EnergyWindow:
        """Energy since `begin`. The token stays valid: later calls give longer windows.

        Raises:
            MeterError: the meter is closed, or the token is another meter's.
        """
        if token.meter != self._number:
            raise MeterError(f"window {token.name!r} was begun on another meter")
        with self._lock:
            mark = self._take()
        return self._between(token, mark)

    def window(self, name: str = "window") -> "Window":
        """A window over a `with` block: its numbers are there once the block has ended, by an error too."""
        return Window(self, name)

    def poll(self) -> None:
        """Read the counters now; the guard thread does, and nobody else needs to.

        Every mark passes here or through a window: a power trace is the differences of successive ones.
        """
        with self._lock:
            if not self._closed:
                self._take()

    def after_fork(self) -> None:
        """In the child of a fork: let the parent's descriptors go at once, take own ones at the next use."""
        if not self._closed:
            self._source.close()
        self._renew()

    def close(self) -> None:
        """Close descriptors and stop the thread; closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._stop.set()
            self._source.close()
            guard = self._guard
        if guard is not None and guard is not threading.current_thread():
            guard.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        # No lock here: a garbage collection may run this in any thread, and the guard ends without its meter.
        if hasattr(self, "_source"):
            self._source.close()

    def __repr__(self) -> str:
        domains = ", ".join(domain.id for domain in self.domains)
        return f"<EnergyMeter {self.kind}{': ' if domains else ''}{domains}>"

    def _take(self) -> Mark:
        """One more reading of every counter; the caller holds the lock."""
        if self._closed:
            raise MeterError("the meter is closed: open a new one")
        if not self._started:
            self._start()
        self._mark = advance(self.domains, self._mark, self._source.read())
        return self._mark

    def _between(self, token: Token, mark: Mark) -> EnergyWindow:
        window = EnergyWindow(
            name=token.name,
            source=self.kind,
            begin_ns=token.mark.end_ns,
            end_ns=mark.begin_ns,
            by_domain=energies_between(self.domains, token.mark, mark),
        )
        if self._model is None or token.mark.cpu is None or mark.cpu is None:
            return window
        return replace(window, estimate=self._model.estimate(token.mark.cpu, mark.cpu, window.duration_s))

    def _renew(self) -> None:
        """What a process cannot inherit: a lock that another thread may hold, and a thread."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._guard: threading.Thread | None = None
        self._started = False

    def _start(self) -> None:
        """Open what a fork closed, and start the guard where there is a counter that can wrap."""
        self._source.open()
        if self.domains:
            interval_s = guard_interval_s(self.domains)
            self._guard = threading.Thread(
                target=_guard,
                args=(weakref.ref(self), self._stop, interval_s),
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
