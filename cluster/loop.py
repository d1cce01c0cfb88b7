"""The loop of one run: scheduler, workers, store and events, one message after another, in one thread."""

import shutil
import threading
import time
import uuid
from collections.abc import Callable

from cluster.eta import Eta
from cluster.events import (
    Draining,
    Event,
    SweepFinished,
    SweepStarted,
    TreatmentStopped,
    TrialCommitted,
    TrialFailed,
    TrialProgress,
    TrialStarted,
)
from cluster.scheduler import Scheduler
from cluster.survey import Survey
from cluster.workers import Message, Workers
from jobs.order import TrialOrder
from jobs.watch import Progress
from sipa.errors import Interrupted, TrialOutputError
from sipa.plan import stopped
from sipa.plan.observed import trial_seconds
from sipa.results.store import Store
from sipa.trial import Row, Trial, TrialFailure, TrialResult

Emit = Callable[[Event], None]

_POLL_S = 0.5
_DONE, _SOME_FAILED, _REMAIN = 0, 6, 7


class Stop:
    """How a user ends a run early; safe to call from a signal handler or another thread."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.aborted = threading.Event()

    def drain(self, reason: str) -> None:
        """Finish the running trials, begin no other."""
        self.reason = self.reason or reason

    def abort(self) -> None:
        """Kill the running trials too."""
        self.drain("stopped at once")
        self.aborted.set()


def started(state: Survey, session_id: str, forecast_s: float | None) -> SweepStarted:
    """The event that opens a run."""
    return SweepStarted(
        sweep=state.request.spec.name,
        session_id=session_id,
        spec_hash=state.request.spec.spec_hash,
        nodes=tuple(node.name for node in state.nodes),
        planned=len(state.plan.trials),
        committed=len(state.committed),
        to_run=len(state.remaining),
        failed=len(state.failed),
        forecast_s=forecast_s,
        superseded=len(state.superseded),
        restored=len(state.restored),
        folder=str(state.request.folder),
    )


def finished(
    state: Survey, *, committed: int, failed: int, reason: str, wall_s: float, skipped: int = 0
) -> SweepFinished:
    """The event that closes a run; its exit code follows from what is left and what failed."""
    planned = len(state.plan.trials)
    gone = state.skipped + skipped
    remaining = planned - committed - failed - gone
    return SweepFinished(
        sweep=state.request.spec.name,
        exit_code=_REMAIN if remaining else _SOME_FAILED if failed else _DONE,
        planned=planned,
        committed=committed,
        failed=failed,
        stopped=gone,
        remaining=remaining,
        reason=reason,
        wall_s=wall_s,
    )


def _not_storable(result: TrialResult, node: str, error: TrialOutputError) -> TrialFailure:
    """A result with a value that no column can hold is a failure of its trial, not of the sweep."""
    return TrialFailure(
        trial_id=result.trial_id,
        attempt=result.attempt,
        error=TrialOutputError.__name__,
        message=str(error),
        phase="commit",
        node=node,
        started_at=result.row["started_at"].isoformat(),
        ended_at=result.row["ended_at"].isoformat(),
    )


class Loop:
    """One run of the loop: the state that changes while trials come and go."""

    def __init__(self, state: Survey, workers: Workers, *, store: Store, emit: Emit, stop: Stop) -> None:
        self._state = state
        self._workers = workers
        self._store = store
        self._emit = emit
        self._stop = stop
        spec = state.request.spec
        self._spec = spec
        self._session_id = uuid.uuid4().hex[:12]
        self._scheduler = Scheduler(state.assignment.queues, failures=state.failures, retries=spec.limits.retries)
        self._eta = Eta(state.durations.seconds())
        self._rows: list[Row] = list(state.rows)
        self._stopped = dict(state.stopped)
        self._attempts = store.attempts()
        self._ran: dict[str, int] = {}
        for row in state.rows:
            self._ran[row["node"]] = max(self._ran.get(row["node"], 0), row["position"] + 1)
        self._orders: dict[str, TrialOrder] = {}
        self._ending: str | None = None

    def run(self) -> SweepFinished:
        """Run until nothing is left or the user stops it."""
        began = time.monotonic()
        self._emit(started(self._state, self._session_id, self._eta.left_s(self._state.assignment.queues.values())))
        while self._scheduler.left:
            if self._stop.aborted.is_set():
                self._workers.abort()
            if self._stop.reason is not None and self._ending is None:
                self._drain(self._stop.reason)
            for node in self._scheduler.idle_nodes():
                self._begin(node)
            for message in self._workers.wait(_POLL_S):
                self._handle(message)
        return self._end(time.monotonic() - began)

    def _drain(self, reason: str) -> None:
        self._ending = reason
        self._scheduler.drain()
        self._emit(Draining(reason=reason))

    def _begin(self, node: str) -> None:
        trial = self._scheduler.begin(node)
        order = self._order(trial, node)
        self._orders[node] = order
        self._emit(
            TrialStarted(
                trial_id=trial.trial_id,
                treatment_id=trial.treatment.treatment_id,
                label=self._label(trial),
                repetition=trial.repetition,
                attempt=order.attempt,
                node=node,
            )
        )
        self._workers.submit(node, order)

    def _order(self, trial: Trial, node: str) -> TrialOrder:
        attempt = self._attempts[trial.trial_id] = self._attempts.get(trial.trial_id, 0) + 1
        position = self._ran.get(node, 0)
        self._ran[node] = position + 1
        folder, spec = self._store.folder, self._spec
        machine = next(each for each in self._state.nodes if each.name == node)
        return TrialOrder(
            trial=trial,
            attempt=attempt,
            sweep=spec.name,
            spec_hash=spec.spec_hash,
            session_id=self._session_id,
            node=node,
            planned_position=self._state.plan.positions[trial.trial_id],
            position=position,
            site=machine.site,
            lease_id=machine.lease_id,
            measurement=spec.measurement,
            output=spec.workload.output,
            source_folder=spec.source.resolve().parent,
            workspace=folder.workspace(trial.trial_id, attempt).resolve(),
            log=folder.log(trial.trial_id, attempt).resolve(),
            cache=(folder.path / ".cache").resolve(),
            root=self._state.request.root,
        )

    def _handle(self, message: Message) -> None:
        match message.content:
            case Progress() as progress:
                self._emit(
                    TrialProgress(
                        trial_id=progress.trial_id,
                        node=message.node,
                        phase=progress.phase,
                        fraction=progress.fraction,
                        detail=progress.detail,
                    )
                )
            case TrialResult() as result:
                self._committed(message.node, result)
                self._clean(message.node)
            case TrialFailure() as failure:
                self._failed(message.node, failure)
                self._clean(message.node)

    def _committed(self, node: str, result: TrialResult) -> None:
        trial = self._scheduler.running[node]
        try:
            commit = self._store.commit(result)
        except TrialOutputError as error:
            self._failed(node, _not_storable(result, node, error))
            return
        self._scheduler.commit(node)
        row = commit.row
        self._rows.append(row)
        seconds = trial_seconds(row, self._spec.measurement.idle_s)
        if seconds is not None:
            self._eta.observe(trial.treatment.treatment_id, seconds)
        self._apply_stop_rule(trial)
        self._emit(
            TrialCommitted(
                trial_id=trial.trial_id,
                attempt=result.attempt,
                node=node,
                duplicate=commit.duplicate,
                left=self._scheduler.left + len(self._scheduler.held),
                eta_s=self._left_s(),
                row=row,
            )
        )

    def _failed(self, node: str, failure: TrialFailure) -> None:
        trial = self._scheduler.running[node]
        if self._stop.aborted.is_set():
            self._scheduler.give_back(node)
            return
        self._store.keep_failure(failure)
        verdict = self._scheduler.fail(node, failure.error)
        self._emit(
            TrialFailed(
                trial_id=trial.trial_id,
                label=self._label(trial),
                attempt=failure.attempt,
                node=node,
                error=failure.error,
                message=failure.message,
                phase=failure.phase,
                again=verdict.again and self._ending is None,
                log=str(self._store.folder.log(trial.trial_id, failure.attempt)),
                left=self._scheduler.left + len(self._scheduler.held),
            )
        )
        if self._ending is not None:
            self._scheduler.drain()
        elif len(self._scheduler.failed) >= self._state.request.failure_limit:
            self._drain(f"{len(self._scheduler.failed)} trials failed for good (limits.max_failures)")

    def _apply_stop_rule(self, trial: Trial) -> None:
        rule, treatment = self._spec.design.stop, trial.treatment.treatment_id
        if rule is None or treatment in self._stopped:
            return
        own = [row for row in self._rows if row["treatment_id"] == treatment]
        end = stopped(self._state.plan, own, rule).get(treatment)
        if end is None:
            return
        self._stopped[treatment] = end
        later = {
            each.trial_id
            for each in self._state.remaining
            if each.treatment.treatment_id == treatment and each.repetition > end
        }
        skipped = self._scheduler.drop(later)
        self._emit(TreatmentStopped(treatment_id=treatment, label=self._label(trial), repetitions=end, skipped=skipped))

    def _clean(self, node: str) -> None:
        shutil.rmtree(self._orders.pop(node).workspace, ignore_errors=True)

    def _label(self, trial: Trial) -> str:
        names = [name for name, _ in self._spec.workload.factors]
        return " ".join(f"{name}={trial.treatment.parameters[name]}" for name in names) or trial.treatment.label

    def _left_s(self) -> float:
        running = self._scheduler.running
        queues = [
            ((running[node],) if node in running else ()) + self._scheduler.queue(node)
            for node in self._state.assignment.queues
        ]
        return self._eta.left_s(queues)

    def _end(self, wall_s: float) -> SweepFinished:
        ended = finished(
            self._state,
            committed=len(self._state.committed | self._scheduler.committed),
            failed=len(self._state.failed) + len(self._scheduler.failed),
            skipped=len(self._scheduler.dropped),
            reason=self._ending or "",
            wall_s=wall_s,
        )
        self._emit(ended)
        if self._stop.aborted.is_set():
            raise Interrupted("stopped at once; finished trials are kept. The same command goes on from here.")
        return ended
