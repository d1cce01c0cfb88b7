"""How one trial is measured on one node: lock, rest, the trial's own process inside the outer window, rest, row.

One rest between two trials serves as the after of one and the before of the other, so a `Session` carries it.
The row is complete only when the idle window after the trial has been measured.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobs.attempt import Attempt, run_process
from jobs.gates import Observed, after_trial, before_trial
from jobs.host import differing_knobs
from jobs.lock import exclusive
from jobs.net import net_columns
from jobs.order import TrialOrder
from jobs.process_scope import ProcessEnergy, by_meter, by_perf_stat
from jobs.rest import Rest, rest
from jobs.rows import control_columns, phase_flags, phase_rows
from jobs.session import Session
from jobs.watch import Progress
from sipa.columns import SCHEMA_VERSION
from sipa.energy.window import EnergyWindow
from sipa.errors import GateTripped, SipaError
from sipa.trial import Outcome, Row, TrialFailure, TrialResult

Report = Callable[[Progress], None]


def run_trial(order: TrialOrder, session: Session, report: Report) -> Outcome:
    """Measure one trial. Never raises for what the trial does: that is a `TrialFailure`.

    Args:
        order: what to measure.
        session: this node's; its last rest is used and renewed.
        report: called with progress, from this thread.
    """
    started = datetime.now(UTC)
    progress = _Latest(order, report)
    try:
        with exclusive(session.lock, waiting=progress.waiting, give_up=session.abort) as lock:
            return _measured(order, session, progress, lock)
    except SipaError as error:
        session.idle = None
        return TrialFailure(
            trial_id=order.trial.trial_id,
            attempt=order.attempt,
            error=type(error).__name__,
            message=str(error),
            phase=progress.phase,
            node=order.node,
            started_at=started.isoformat(),
            ended_at=datetime.now(UTC).isoformat(),
        )


def _measured(order: TrialOrder, session: Session, progress: "_Latest", lock: int) -> TrialResult:
    _verify_knobs(order)
    before = _rest(order, session, progress) if session.idle is None or progress.waited else session.idle
    session.idle = None
    flags = [*before_trial(order.measurement, before.cooldown, order.node), *_without_bmc(session)]
    started = datetime.now(UTC)
    attempt = run_process(
        order,
        session.meter,
        variables=session.variables,
        lock=lock,
        abort=session.abort,
        report=progress,
        perf_stat=session.perf_stat,
        bmc=session.bmc,
    )
    _ask_no_more(session, attempt)
    known: Row = {"started_at": started, "ended_at": datetime.now(UTC), "flags": flags}
    # Without an idle window a rest after the trial would serve nobody: the next trial takes its own.
    after = _rest(order, session, progress) if order.measurement.idle_s > 0 else None
    session.idle = after if after is not None and after.idle is not None else None
    return _result(order, session, attempt, (before, after), known)


def _without_bmc(session: Session) -> list[str]:
    return [f"node power unavailable: {session.bmc_reason}"] if session.bmc_reason else []


def _ask_no_more(session: Session, attempt: Attempt) -> None:
    """A BMC that hangs would cost every trial its time-out, and the outer window its energy."""
    if attempt.findings["bmc_hung"]:
        session.bmc, session.bmc_reason = None, "the BMC did not answer earlier in this session and is asked no more"


def _verify_knobs(order: TrialOrder) -> None:
    """Check that governor and turbo are still as the sweep set them.

    Raises:
        GateTripped: they are not; whatever `measurement.gates` says.
    """
    if (wrong := differing_knobs(order.measurement, order.root)) is not None:
        raise GateTripped(wrong)


def _rest(order: TrialOrder, session: Session, progress: "_Latest") -> Rest:
    found = rest(
        order.measurement,
        session.meter,
        root=order.root,
        coolest_c=session.coolest_c,
        abort=session.abort,
        report=progress,
    )
    if found.cooldown.settled:
        session.coolest_c = found.cooldown.temperature_c
    if found.idle is not None and found.temperature_c is not None:
        known = (found.temperature_c, session.coolest_c)
        session.coolest_c = min(each for each in known if each is not None)
    return found


def _result(
    order: TrialOrder, session: Session, attempt: Attempt, rests: tuple[Rest, Rest | None], known: Row
) -> TrialResult:
    before, after = rests
    findings, process = attempt.findings, _process_energy(order, session, attempt)
    windows = {"idle_before": before.idle, "idle_after": after.idle if after else None}
    idle = {name: window for name, window in windows.items() if window is not None}
    row = {**known, **_row(order, session, findings, process)}
    row |= _rest_columns(row, before, list(idle.values()))
    seen = Observed(
        row=row,
        environment=session.identity.environment,
        unsteady=findings["unsteady"],
        disagreements=findings["disagreements"],
        idle_foreign_cores=[each.foreign_cores for each in rests if each is not None],
    )
    tripped = after_trial(order.measurement, seen)
    doubts = [flag for name, window in idle.items() for flag in phase_flags(name, window)]
    row["flags"] = [*known["flags"], *findings["flags"], *process.flags, *doubts, *attempt.ended.flags, *tripped]
    resting = [each for name, window in idle.items() for each in phase_rows(name, window)]
    return TrialResult(
        trial_id=order.trial.trial_id,
        attempt=order.attempt,
        row=row,
        phases=(*findings["phases"], *process.phases, *resting),
        samples=tuple(findings["samples"]),
        environment=session.identity.environment,
        predictions=order.predictions if order.predictions.exists() else None,
    )


def _rest_columns(row: Row, before: Rest, idle: Sequence[EnergyWindow]) -> Row:
    return {
        "duration_cooldown_s": before.cooldown.waited_s,
        "duration_idle_s": before.idle.duration_s if before.idle else None,
        **net_columns(row, idle),
    }


def _process_energy(order: TrialOrder, session: Session, attempt: Attempt) -> ProcessEnergy:
    if session.perf_stat is None:
        return by_meter(attempt.outer, order.measurement.scope)
    return by_perf_stat(session.perf_stat, order.perf_stat, attempt.outer)


def _row(order: TrialOrder, session: Session, findings: Mapping[str, Any], process: ProcessEnergy) -> Row:
    trial = order.trial
    return {
        "sweep": order.sweep,
        "trial_id": trial.trial_id,
        "treatment_id": trial.treatment.treatment_id,
        "repetition": trial.repetition,
        "replicate": trial.replicate,
        "attempt": order.attempt,
        "planned_position": order.planned_position,
        "position": order.position,
        "workload": trial.treatment.kind.value,
        "spec_hash": order.spec_hash,
        "session_id": order.session_id,
        "node": order.node,
        "site": order.site,
        "lease_id": order.lease_id,
        "schema_version": SCHEMA_VERSION,
        "energy_source": session.meter.kind.value,
        "valid": findings["valid"] and process.valid,
        **trial.treatment.parameters,
        **session.identity.columns,
        **control_columns(session.control),
        **findings["columns"],
        **process.columns,
    }


class _Latest:
    """Passes progress on and remembers the phase, for the message if the trial fails."""

    def __init__(self, order: TrialOrder, report: Report) -> None:
        self.phase = "start"
        self.waited = False
        self._trial_id = order.trial.trial_id
        self._report = report

    def __call__(self, phase: str, fraction: float | None, detail: str = "") -> None:
        self.phase = phase
        self._report(Progress(trial_id=self._trial_id, phase=phase, fraction=fraction, detail=detail))

    def waiting(self, why: str) -> None:
        self.waited = True
        self("waiting", None, why)
