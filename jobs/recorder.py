"""Phases of a trial as its own process measures them, and its messages to the worker that watches it.

Everything a phase boundary needs is made before the first phase, and at most one message a second leaves the process,
so that watching does not show in what is watched.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from jobs import cpu_time, frequency, host_state
from jobs.cpu_time import CpuTimes, CpuUse
from jobs.frequency import FrequencyCounts
from jobs.host_state import HostState
from jobs.workload import INFERENCE
from sipa.energy.dcmi import DcmiReading, DcmiSensor
from sipa.energy.meter import EnergyMeter
from sipa.energy.trace import PowerSample
from sipa.energy.window import EnergyWindow
from sipa.trial import Row

_MESSAGE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase that ended. What follows `window` is of the inference window only.

    Attributes:
        use: CPU use.
        host: temperature, throttling and frequency columns.
        samples: the power trace.
        node: what the BMC said right after the window; None where there is none to ask.
    """

    name: str
    window: EnergyWindow
    use: CpuUse | None = None
    host: Row = field(default_factory=dict)
    samples: tuple[PowerSample, ...] = ()
    node: DcmiReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The host at one edge of the inference window, just outside it."""

    cpu: CpuTimes
    host: HostState
    frequency: FrequencyCounts | None


class TrialRecorder:
    """Implements `jobs.workload.Recorder` over an energy meter.

    Args:
        meter: open, and kept open by the caller.
        root: where the host is read.
        session: the trial's session id, whose processes are not foreign.
        messages: where progress goes, one JSON object a line.
        dcmi: asked once, between the inference window and what follows; None: nobody is asked.
    """

    def __init__(
        self, meter: EnergyMeter, *, root: Path, session: int, messages: IO[str], dcmi: DcmiSensor | None = None
    ) -> None:
        self.phases: list[Phase] = []
        self.flags: list[str] = []
        self._meter = meter
        self._root = root
        self._session = session
        self._messages = messages
        self._dcmi = dcmi
        self._present = ""
        self._began = time.monotonic()
        self._told = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a phase; one that raises leaves no record."""
        self._present = name
        self._tell(None, "")
        before = self._look() if name == INFERENCE else None
        token = self._meter.begin(name)
        self._began = time.monotonic()
        try:
            yield
        finally:
            window = self._meter.end(token)
        if before is None:
            self.phases.append(Phase(name=name, window=window))
        else:
            self.phases.append(self._inference(window, before, self._look()))

    def progress(self, fraction: float, detail: str = "") -> None:
        """Say how far the present phase is."""
        now = time.monotonic()
        if now - self._told >= _MESSAGE_EVERY_S:
            self._tell(fraction, detail)

    def flag(self, text: str) -> None:
        """Note something for the reader of the row, once."""
        if text not in self.flags:
            self.flags.append(text)

    def elapsed_s(self) -> float:
        """Seconds since the present phase began."""
        return time.monotonic() - self._began

    def temperature_c(self) -> float | None:
        """Temperature of the hottest package now; None where it cannot be read."""
        return host_state.temperature_c(self._root)

    def _inference(self, window: EnergyWindow, before: _Look, after: _Look) -> Phase:
        # First of all: what the BMC says is of a moment, and the load is already gone.
        node = self._dcmi.read() if self._dcmi is not None else None
        hz = frequency.effective_hz(before.frequency, after.frequency)
        return Phase(
            name=INFERENCE,
            window=window,
            use=cpu_time.between(before.cpu, after.cpu),
            host={**host_state.columns(before.host, after.host), "frequency_effective_hz": hz},
            samples=self._meter.trace(window),
            node=node,
        )

    def _look(self) -> _Look:
        return _Look(
            host=host_state.read(self._root),
            frequency=frequency.read(self._root),
            cpu=cpu_time.read(self._root, self._session),
        )

    def _tell(self, fraction: float | None, detail: str) -> None:
        self._told = time.monotonic()
        message = {"phase": self._present, "fraction": fraction, "detail": detail}
        try:
            self._messages.write(json.dumps(message) + "\n")
            self._messages.flush()
        except OSError:
            # Nobody listens any more: the lifeline ends this process, not a message.
            return
