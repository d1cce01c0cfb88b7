"""What happened in a sweep, typed. The console, the journal and `--json` are three readers of the same events."""

from dataclasses import dataclass, fields
from typing import Any

from sipa.results.schema import to_json
from sipa.trial import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStarted:
    """The plan is made and the first trial is about to start.

    Attributes:
        planned: trials of the plan.
        committed: of these, finished earlier.
        to_run: trials that this run will take.
        failed: of these, failed for good earlier and left alone.
        forecast_s: expected wall time of what is left; None when nothing is known.
        superseded: rows moved aside because this spec does not plan them.
        restored: rows brought back that an earlier edit had moved aside.
    """

    sweep: str
    session_id: str
    spec_hash: str
    nodes: tuple[str, ...]
    planned: int
    committed: int
    to_run: int
    failed: int
    forecast_s: float | None
    superseded: int
    restored: int
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A node began an attempt."""

    trial_id: str
    treatment_id: str
    label: str
    repetition: int
    attempt: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialProgress:
    """What a trial is doing; not kept in the journal.

    Attributes:
        trial_id: the trial's; "control" for the control workload.
        fraction: of the phase, 0 to 1; None when the phase has no known length.
    """

    trial_id: str
    node: str
    phase: str
    fraction: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCommitted:
    """A row is permanent.

    Attributes:
        duplicate: the trial had a row already; this one lies in `duplicates/`.
        left: trials still to run.
        eta_s: expected time until the sweep ends; None when nothing is known.
    """

    trial_id: str
    attempt: int
    node: str
    duplicate: bool
    left: int
    eta_s: float | None
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed:
    """An attempt failed.

    Attributes:
        again: whether the trial will be tried once more.
        log: what the attempt printed.
    """

    trial_id: str
    label: str
    attempt: int
    node: str
    error: str
    message: str
    phase: str
    again: bool
    log: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentStopped:
    """The stop rule found that a treatment is known well enough."""

    treatment_id: str
    label: str
    repetitions: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlStarted:
    """A node began the control workload.

    Attributes:
        sequence: place among the controls of this node and session, from 0.
        place: "start", "between" two repetitions, or "end".
        after_block: repetition that the node had finished; 0 before the first.
    """

    node: str
    sequence: int
    place: str
    after_block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFinished:
    """A control workload is over.

    Attributes:
        control_id: what was run; only energies of equal ones are comparable.
        energy_total_j: None if unavailable.
        temperature_end_c: hottest package at its end; None where unreadable.
        reason: why there is no energy, or no result at all; empty otherwise.
        doubtful: it left a band, or has no energy: the rows that follow say so.
        verdict: the bands that it was compared with, in words.
        eta_s: expected time until the sweep ends; None when nothing is known.
    """

    node: str
    sequence: int
    control_id: str
    duration_s: float
    energy_total_j: float | None
    temperature_end_c: float | None
    reason: str
    doubtful: bool
    verdict: str
    eta_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuarantined:
    """A node's control left its band and the spec refuses its rows: it begins no further trial.

    Attributes:
        reason: value, band, and what to do.
        moved: trials that other nodes take over.
        nodes_left: nodes that go on.
    """

    node: str
    reason: str
    moved: int
    nodes_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """No further trial starts; running ones are finished.

    Attributes:
        without_control: the control workload at the end is left out.
    """

    reason: str
    without_control: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFinished:
    """The run is over.

    Attributes:
        exit_code: 0 all done, 6 some trials failed, 7 trials remain, 130 interrupted.
        remaining: trials without a row that a further run would take.
    """

    sweep: str
    exit_code: int
    planned: int
    committed: int
    failed: int
    stopped: int
    remaining: int
    reason: str
    wall_s: float


Event = (
    SweepStarted
    | TrialStarted
    | TrialProgress
    | TrialCommitted
    | TrialFailed
    | TreatmentStopped
    | ControlStarted
    | ControlFinished
    | NodeQuarantined
    | Draining
    | SweepFinished
)

_NAMES: dict[type, str] = {
    SweepStarted: "sweep-started",
    TrialStarted: "trial-started",
    TrialProgress: "trial-progress",
    TrialCommitted: "trial-committed",
    TrialFailed: "trial-failed",
    TreatmentStopped: "treatment-stopped",
    ControlStarted: "control-started",
    ControlFinished: "control-finished",
    NodeQuarantined: "node-quarantined",
    Draining: "draining",
    SweepFinished: "sweep-finished",
}


def to_record(event: Event, at: str) -> dict[str, Any]:
    """The event as a JSON object: `event`, `at` (UTC, ISO 8601), its fields; a row as `export --json` prints it."""
    record: dict[str, Any] = {"event": _NAMES[type(event)], "at": at}
    for field in fields(event):
        value = getattr(event, field.name)
        record[field.name] = to_json(value) if field.name == "row" else value
    return record
