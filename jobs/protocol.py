"""How one trial is measured on one node: lock, idle, the trial's own process inside the outer window, idle, row.

One idle window between two trials serves as the after of one and the before of the other, so a `Session` carries it.
The row is complete only when the idle window after the trial has been measured.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs import host_state
from jobs.environment import Identity, available_cpus
from jobs.lock import exclusive
from jobs.order import TrialOrder, write_order
from jobs.rows import net_columns, phase_columns, phase_rows
from jobs.watch import Ended, Progress, watch
from sipa.columns import SCHEMA_VERSION
from sipa.energy.meter import EnergyMeter
from sipa.energy.window import EnergyWindow
from sipa.errors import (
    TRIAL_ERRORS,
    GateTripped,
    SipaError,
    TrialCrash,
    TrialError,
    TrialOutOfMemory,
    TrialTimeout,
)
from sipa.spec.model import Gates
from sipa.trial import Outcome, Row, TrialFailure, TrialResult
from sipa.workloads import Kind

Report = Callable[[Progress], None]

_OUT_OF_MEMORY = "The kernel killed a process because memory ran out. Use less memory, or a node with more."


@dataclass(slots=True, kw_only=True)
class Session:
    """What a worker keeps from trial to trial on one node.

    Attributes:
        meter: the outer window's meter, open for the whole session.
        identity: node, boot and environment, read once.
        lock: the node's lock file.
        abort: asked while waiting; True kills the running trial.
        variables: the user's environment variables, which trials run with.
        idle: the last idle window, if nothing ran since.
    """

    meter: EnergyMeter
    identity: Identity
    lock: Path
    abort: Callable[[], bool]
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    idle: EnergyWindow | None = None


def run_trial(order: TrialOrder, session: Session, report: Report) -> Outcome:
    """Measure one trial. Never raises for what the trial does: that is a `TrialFailure`.

    Args:
        order: what to measure.
        session: this node's; its idle window is used and renewed.
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
    before = _idle(order, session, progress) if session.idle is None or progress.waited else session.idle
    session.idle = None
    write_order(order)
    began = host_state.read(order.root)
    started = datetime.now(UTC)
    ended, outer = _process(order, session, progress, lock)
    stopped = datetime.now(UTC)
    findings = _findings(order, ended, began)
    after = _idle(order, session, progress)
    session.idle = after
    row = _row(order, session, findings, outer, [each for each in (before, after) if each is not None])
    row |= {
        "started_at": started,
        "ended_at": stopped,
        "duration_idle_s": before.duration_s if before else None,
    }
    row["flags"] = [*findings["flags"], *ended.flags, *_gates(order, row)]
    phases = [*findings["phases"], *phase_rows("process", outer)]
    for name, window in (("idle_before", before), ("idle_after", after)):
        phases += phase_rows(name, window) if window else []
    return TrialResult(
        trial_id=order.trial.trial_id,
        attempt=order.attempt,
        row=row,
        phases=tuple(phases),
        environment=session.identity.environment,
        predictions=order.predictions if order.predictions.exists() else None,
    )


def _idle(order: TrialOrder, session: Session, progress: "_Latest") -> EnergyWindow | None:
    """Measure the machine doing nothing; None where the spec asks for no idle window, or it was cut short."""
    length = order.measurement.idle_s
    if length <= 0:
        return None
    progress("idle", None)
    with session.meter.window("idle") as window:
        deadline = time.monotonic() + length
        while (left := deadline - time.monotonic()) > 0 and not session.abort():
            time.sleep(min(left, 0.5))
    return None if session.abort() else window.energy


def _process(order: TrialOrder, session: Session, progress: "_Latest", lock: int) -> tuple[Ended, EnergyWindow]:
    """Run the trial's own process inside the outer window."""
    with session.meter.window("process") as outer:
        ended = watch(
            [sys.executable, "-P", "-u", "-m", "jobs", "run", str(order.file), "--lifeline"],
            log=order.log,
            environment=_environment(order, session.variables),
            inherited=lock,
            deadline_s=order.measurement.deadline_s,
            abort=session.abort,
            report=progress,
        )
    return ended, outer.energy


def _environment(order: TrialOrder, variables: Mapping[str, str]) -> Mapping[str, str]:
    """The trial's environment variables: the user's, but that for our own workloads the thread counts are ours."""
    if order.trial.treatment.kind is Kind.COMMAND:
        return variables
    threads = str(order.trial.treatment.parameters.get("threads", available_cpus()))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**variables, **dict.fromkeys(names, threads)}


def _findings(order: TrialOrder, ended: Ended, began: host_state.HostState) -> dict[str, Any]:
    """What the trial's own process wrote.

    Raises:
        TrialError: it wrote an error, or died without writing.
    """
    if ended.timed_out:
        raise TrialTimeout(
            f"killed after {order.measurement.deadline_s:g} s (measurement.deadline_s). Raise the deadline if the "
            f"trial is that long; what it printed stands in {order.log.name}"
        )
    if ended.aborted:
        raise TrialError("stopped at once on request")
    try:
        findings: dict[str, Any] = json.loads(order.findings.read_bytes())
    except (OSError, ValueError):
        raise _died(order, ended, began) from None
    if findings.get("error") == TrialCrash.__name__ and _out_of_memory(order, began):
        raise TrialOutOfMemory(f"{findings['message']} {_OUT_OF_MEMORY}")
    if "error" in findings:
        raise TRIAL_ERRORS.get(findings["error"], TrialCrash)(findings["message"])
    return findings


def _died(order: TrialOrder, ended: Ended, began: host_state.HostState) -> TrialError:
    if ended.exit_code == -9 and _out_of_memory(order, began):
        return TrialOutOfMemory(_OUT_OF_MEMORY)
    how = f"was killed by signal {-ended.exit_code}" if ended.exit_code < 0 else f"exited with {ended.exit_code}"
    return TrialCrash(f"the trial's process {how} without a result. Its output stands in {order.log.name}")


def _out_of_memory(order: TrialOrder, began: host_state.HostState) -> bool:
    """Whether the kernel killed something for lack of memory since the trial began."""
    now = host_state.read(order.root)
    return None not in (began.oom_kills, now.oom_kills) and now.oom_kills != began.oom_kills


def _row(
    order: TrialOrder,
    session: Session,
    findings: dict[str, Any],
    outer: EnergyWindow,
    idle: list[EnergyWindow],
) -> Row:
    trial = order.trial
    row: Row = {
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
        "valid": findings["valid"],
        **trial.treatment.parameters,
        **session.identity.columns,
        **findings["columns"],
        **phase_columns("process", [outer]),
    }
    return row | net_columns(row, idle)


def _gates(order: TrialOrder, row: Row) -> list[str]:
    """Flags of the gates that tripped.

    Raises:
        GateTripped: one did and the spec says that this refuses the trial.
    """
    limit, foreign = order.measurement.max_foreign_cores, row.get("foreign_cores")
    tripped: list[str] = []
    if foreign is None:
        tripped.append("foreign CPU: could not be read")
    elif foreign > limit and not math.isclose(foreign, limit):
        tripped.append(
            f"foreign CPU: other processes used {foreign:.3g} cores during the window "
            f"(measurement.max_foreign_cores = {limit:g})"
        )
    if tripped and order.measurement.gates is Gates.REFUSE:
        raise GateTripped(
            f"{'; '.join(tripped)}. Stop what else runs on {order.node}, or set gates = 'flag' to keep such rows"
        )
    return tripped


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
