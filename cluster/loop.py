"""The loop of one run: scheduler, workers, store and events, one message after another, in one thread."""

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from cluster.controls import Controls, Place
from cluster.edges import finished, started
from cluster.eta import Eta
from cluster.events import (
    ControlFinished,
    ControlStarted,
    Draining,
    Event,
    NodeQuarantined,
    SweepFinished,
    TreatmentStopped,
    TrialCommitted,
    TrialFailed,
    TrialProgress,
    TrialStarted,
)
from cluster.scheduler import Scheduler
from cluster.survey import Survey
from cluster.workers import Message, Workers
from jobs.control import CONTROL, ControlOrder
from jobs.order import TrialOrder
from jobs.watch import Progress
from sipa.control import ControlResult
from sipa.energy.selection import MEASURED
from sipa.errors import Interrupted, TrialOutputError
from sipa.plan import stopped
from sipa.plan.observed import trial_seconds
from sipa.results.store import Store
from sipa.spec.model import Gates
from sipa.trial import Row, Trial, TrialFailure, TrialResult

Emit = Callable[[Event], None]

_POLL_S = 0.5


class Stop:
    """How a user ends a run early; safe to call from a signal handler or another thread."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.aborted = threading.Event()

    def drain(self, reason: str) -> None:
        """Finish what runs, begin nothing else."""
        self.reason = self.reason or reason

    def abort(self) -> None:
        """Kill what runs too."""
        self.drain("stopped at once")
        self.aborted.set()


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


def _controls(state: Survey, workers: Workers, store: Store) -> Controls:
    """The controls of a session that begins; none without measured energy: an estimate would say nothing of a node."""
    nominal_s = state.request.spec.measurement.control_s
    return Controls(
        nodes=frozenset(node for node, kind in workers.meters().items() if kind in MEASURED and nominal_s > 0),
        models={node: each.get("cpu_model") for node, each in workers.environments().items()},
        earlier=store.controls(),
        nominal_s=nominal_s,
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
        self._moved: dict[str, str] = {}
        self._controls = _controls(state, workers, store)
        self._control_began: dict[str, float] = {}

    def run(self) -> SweepFinished:
        """Run until nothing is left or the user stops it."""
        began = time.monotonic()
        self._emit(started(self._state, self._session_id, self._left_s()))
        while True:
            if self._stop.aborted.is_set():
                self._workers.abort()
            if self._stop.reason is not None and self._ending is None and self._would_begin():
                self._drain(self._stop.reason)
            for node in self._scheduler.free_nodes():
                self._begin(node)
            if not self._scheduler.busy:
                return self._end(time.monotonic() - began)
            for message in self._workers.wait(_POLL_S):
                self._handle(message)

    def _would_begin(self) -> bool:
        """Whether a drain changes anything: something runs or waits, or a control is still due."""
        return bool(self._scheduler.left) or self._scheduler.busy or self._controls.skipped_by_drain()

    def _drain(self, reason: str) -> None:
        self._ending = reason
        self._scheduler.drain()
        self._emit(Draining(reason=reason, without_control=self._controls.skipped_by_drain()))

    def _begin(self, node: str) -> None:
        """What a free node does next: a control, its next trial, or nothing."""
        queue = self._scheduler.queue(node)
        place = self._controls.due(node, queue[0].repetition if queue else None, draining=self._ending is not None)
        if place is not None:
            self._begin_control(node, place)
        elif queue:
            self._begin_trial(node)

    def _begin_control(self, node: str, place: Place) -> None:
        past = self._controls.past(node)
        folder = self._store.folder
        kept = folder.control(self._session_id, node, past.controls)
        order = ControlOrder(
            session_id=self._session_id,
            node=node,
            sequence=past.controls,
            after_block=past.last_block,
            measurement=self._spec.measurement,
            workspace=folder.workspace(f"{CONTROL}-{node}", past.controls).resolve(),
            log=kept.with_suffix(".log").resolve(),
            root=self._state.request.root,
        )
        self._scheduler.begin_control(node)
        self._controls.begin_control(node)
        self._control_began[node] = time.monotonic()
        self._emit(ControlStarted(node=node, sequence=order.sequence, place=place.value, after_block=order.after_block))
        self._workers.submit(node, order)

    def _begin_trial(self, node: str) -> None:
        trial = self._scheduler.begin(node)
        self._controls.begin_trial(node, trial.repetition)
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
            case ControlResult() as control:
                self._controlled(message.node, control)

    def _committed(self, node: str, result: TrialResult) -> None:
        trial = self._scheduler.running[node]
        flags = [*result.row["flags"], *self._controls.flags(node)]
        if trial.trial_id in self._moved:
            flags.append(f"reassigned: planned for {self._moved[trial.trial_id]}, which was quarantined")
        try:
            commit = self._store.commit(replace(result, row={**result.row, "flags": flags}))
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
            failed = len(self._scheduler.failed)
            self._drain(f"{failed} {'trial' if failed == 1 else 'trials'} failed for good (limits.max_failures)")

    def _controlled(self, node: str, control: ControlResult) -> None:
        self._scheduler.end_control(node)
        seconds = time.monotonic() - self._control_began.pop(node)
        shutil.rmtree(self._store.folder.workspace(f"{CONTROL}-{node}", control.sequence), ignore_errors=True)
        if self._stop.aborted.is_set():
            return
        self._store.keep_control(control)
        outside = self._controls.take(control, seconds)
        verdict = self._controls.verdict(node)
        self._emit(
            ControlFinished(
                node=node,
                sequence=control.sequence,
                control_id=control.control_id,
                duration_s=control.duration_s,
                energy_total_j=control.energy_total_j,
                temperature_end_c=control.temperature_end_c,
                reason=control.reason,
                doubtful=verdict is not None and verdict.doubtful,
                verdict=verdict.text if verdict else "",
                eta_s=self._left_s(),
            )
        )
        if self._spec.measurement.gates is Gates.REFUSE:
            # One that has left its band once may come back into it and leave it again, as its peers change.
            for each in outside:
                if each not in self._scheduler.quarantined:
                    self._quarantine(each)

    def _quarantine(self, node: str) -> None:
        """The node gets no further trial; the sweep ends when no node is left that would."""
        verdict = self._controls.verdict(node)
        why = f"{verdict.text}. {verdict.cure}" if verdict else ""
        moved = self._scheduler.quarantine(node)
        self._moved |= {trial.trial_id: node for trial in moved}
        left = len(self._scheduler.usable)
        self._emit(NodeQuarantined(node=node, reason=why, moved=len(moved), nodes_left=left))
        if not left and self._scheduler.left and self._ending is None:
            self._drain(f"no node is left: the control workload of {node} is outside its band")

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
        """Expected seconds until the end; what runs counts in full."""
        scheduler, nodes = self._scheduler, []
        for node in self._state.assignment.queues:
            queue = scheduler.queue(node)
            running = [scheduler.running[node]] if node in scheduler.running else []
            usable = node in scheduler.usable
            controls_s = self._controls.left_s(node, [each.repetition for each in queue]) if usable else 0.0
            nodes.append(([*running, *queue], controls_s))
        return self._eta.left_s(nodes)

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
