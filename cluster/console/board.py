"""What the live table shows, as values: events go in, the state of the sweep is kept. No terminal here."""

from dataclasses import dataclass, field
from typing import assert_never

from cluster.events import (
    ControlFinished,
    ControlStarted,
    Draining,
    Event,
    NodeQuarantined,
    SweepFinished,
    SweepStarted,
    TreatmentStopped,
    TrialCommitted,
    TrialFailed,
    TrialProgress,
    TrialStarted,
)

CONTROL = "control"
"""Stands for the control workload where a trial has its id."""


@dataclass(slots=True, kw_only=True)
class Running:
    """The trial, or the control workload, that a node is at.

    Attributes:
        repetition: 0 for a control.
        since_s: when it started, on the clock that `Board.apply` is given.
        fraction: of the phase, 0 to 1; None when its length is not known.
    """

    trial_id: str
    label: str
    repetition: int
    attempt: int
    since_s: float
    phase: str = "start"
    fraction: float | None = None
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Board:
    """The state of a running sweep.

    Attributes:
        settled: trials that need no more time: done, failed for good, or not needed.
        running: what each node is at; None between two trials.
        quarantined: nodes that begin nothing any more.
    """

    sweep: str = ""
    planned: int = 0
    done: int = 0
    failed: int = 0
    stopped: int = 0
    draining: str = ""
    started_s: float = 0.0
    running: dict[str, Running | None] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    _eta_s: float | None = None
    _eta_at_s: float = 0.0

    @property
    def settled(self) -> int:
        """Trials that need no more time."""
        return min(self.planned, self.done + self.failed + self.stopped)

    def eta_s(self, now_s: float) -> float | None:
        """The last expectation less the time since; None when nothing is known."""
        return None if self._eta_s is None else max(0.0, self._eta_s - (now_s - self._eta_at_s))

    def apply(self, event: Event, now_s: float) -> None:
        """Take an event in; `now_s` is a monotonic time."""
        match event:
            case SweepStarted():
                self._begin(event, now_s)
            case TrialStarted():
                self.running[event.node] = Running(
                    trial_id=event.trial_id,
                    label=event.label,
                    repetition=event.repetition,
                    attempt=event.attempt,
                    since_s=now_s,
                )
            case TrialProgress():
                self._progress(event)
            case TrialCommitted():
                self.done += not event.duplicate
                self._expect(event.eta_s, now_s)
                self._clear(event.node, event.trial_id)
            case TrialFailed():
                self.failed += not event.again
                self._clear(event.node, event.trial_id)
            case TreatmentStopped():
                self.stopped += event.skipped
            case ControlStarted() | ControlFinished() | NodeQuarantined():
                self._control(event, now_s)
            case Draining():
                self.draining = event.reason
            case SweepFinished():
                self.running.clear()
            case _:
                assert_never(event)

    def _begin(self, event: SweepStarted, now_s: float) -> None:
        self.sweep, self.planned = event.sweep, event.planned
        self.done, self.failed = event.committed, event.failed
        self.stopped = event.planned - event.committed - event.failed - event.to_run
        self.started_s = now_s
        self.running = dict.fromkeys(event.nodes)
        self._expect(event.forecast_s, now_s)

    def _control(self, event: ControlStarted | ControlFinished | NodeQuarantined, now_s: float) -> None:
        match event:
            case ControlStarted():
                self.running[event.node] = Running(
                    trial_id=CONTROL, label="control workload", repetition=0, attempt=1, since_s=now_s
                )
            case ControlFinished():
                self._expect(event.eta_s, now_s)
                self._clear(event.node, CONTROL)
            case NodeQuarantined():
                self.quarantined.add(event.node)
            case _:
                assert_never(event)

    def _progress(self, event: TrialProgress) -> None:
        at = self.running.get(event.node)
        if at is not None and at.trial_id == event.trial_id:
            at.phase, at.fraction, at.detail = event.phase, event.fraction, event.detail

    def _clear(self, node: str, trial_id: str) -> None:
        at = self.running.get(node)
        if at is not None and at.trial_id == trial_id:
            self.running[node] = None

    def _expect(self, eta_s: float | None, now_s: float) -> None:
        if eta_s is not None:
            self._eta_s, self._eta_at_s = eta_s, now_s
