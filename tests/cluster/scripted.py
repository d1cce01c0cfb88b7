"""Workers whose outcomes are scripted: the sweep's loop runs for real, the trials do not."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from cluster.controls import Past, due
from cluster.workers import Message, Order
from jobs.control import ControlOrder
from jobs.order import TrialOrder
from sipa.columns import SCHEMA_VERSION
from sipa.control import ControlResult
from sipa.energy.source import MeterKind
from sipa.trial import Outcome, Row, TrialFailure, TrialResult, digest

CONTROL = "control"
"""What a control is called in a list of what ran."""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_CONTROLS = count()
ENVIRONMENT = {"cpu_model": "test", "packages": {"numpy": "2.0"}}

Script = Callable[[TrialOrder], Outcome]
ControlScript = Callable[[ControlOrder], ControlResult]


def row_of(order: TrialOrder, **columns: Any) -> Row:
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
        "code_version": "0",
        "environment_id": digest(ENVIRONMENT),
        "node_uid": "u",
        "boot_id": "b",
        "started_at": NOON,
        "ended_at": NOON,
        "mono_begin_ns": 0,
        "mono_end_ns": 1,
        "valid": True,
        "flags": [],
        "energy_domains": [],
        "energy_quality": [],
        "energy_source": "none",
        "schema_version": SCHEMA_VERSION,
        "window_s": 1.0,
        "duration_process_s": 2.0,
        **trial.treatment.parameters,
        **columns,
    }


def result_of(order: TrialOrder, **columns: Any) -> TrialResult:
    return TrialResult(
        trial_id=order.trial.trial_id,
        attempt=order.attempt,
        row=row_of(order, **columns),
        phases=(),
        environment=ENVIRONMENT,
    )


def failure_of(order: TrialOrder, error: str = "TrialCrash") -> TrialFailure:
    return TrialFailure(
        trial_id=order.trial.trial_id,
        attempt=order.attempt,
        error=error,
        message="scripted",
        phase="inference",
        node=order.node,
        started_at=NOON.isoformat(),
        ended_at=NOON.isoformat(),
    )


def control_of(order: ControlOrder, energy_j: float | None = 100.0, reason: str = "") -> ControlResult:
    return ControlResult(
        control_id="v1 test",
        node=order.node,
        session_id=order.session_id,
        sequence=order.sequence,
        after_block=order.after_block,
        environment_id=digest(ENVIRONMENT),
        started_at=(NOON + timedelta(seconds=next(_CONTROLS))).isoformat(),
        duration_s=1.0,
        energy_total_j=energy_j,
        energy_pkg_j=energy_j,
        temperature_end_c=None,
        reason=reason,
    )


class ScriptedWorkers:
    """`cluster.workers.Workers` that answer at once, one order a node at a time."""

    def __init__(
        self,
        script: Script = result_of,
        *,
        node: str = "here",
        nodes: Sequence[str] = (),
        environment: Mapping[str, Any] = ENVIRONMENT,
        meter: MeterKind = MeterKind.NONE,
        control: ControlScript = control_of,
    ) -> None:
        self.orders: list[TrialOrder] = []
        self.controls: list[ControlOrder] = []
        self.sequence: list[Order] = []
        self._script = script
        self._control = control
        self._nodes = nodes or (node,)
        self._environment = environment
        self._meter = meter
        self._said: deque[Message] = deque()

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        return dict.fromkeys(self._nodes, self._environment)

    def meters(self) -> Mapping[str, MeterKind]:
        return dict.fromkeys(self._nodes, self._meter)

    def submit(self, node: str, order: Order) -> None:
        assert node not in {each.node for each in self._said}, "one order a node"
        self.sequence.append(order)
        if isinstance(order, ControlOrder):
            self.controls.append(order)
            self._said.append(Message(node=node, content=self._control(order)))
        else:
            self.orders.append(order)
            self._said.append(Message(node=node, content=self._script(order)))

    def wait(self, timeout_s: float) -> list[Message]:
        return [self._said.popleft()] if self._said else []

    def abort(self) -> None:
        self._said = deque(Message(node=each.node, content=self._killed(each)) for each in self._said)

    def close(self) -> None:
        pass

    def _killed(self, message: Message) -> Outcome | ControlResult:
        if isinstance(message.content, ControlResult):
            return control_of(self.controls[-1], None, "stopped at once on request")
        return failure_of(self.orders[-1], "TrialError")


def what_runs(repetitions: Sequence[int]) -> list[int | str]:
    """A node's whole session: repetitions of trials and controls, in order."""
    past, left, ran = Past(), list(repetitions), list[int | str]()
    while True:
        if due(past, left[0] if left else None, draining=False) is not None:
            past = past.after_control()
            ran.append(CONTROL)
        elif left:
            ran.append(left.pop(0))
            past = past.after_trial(int(ran[-1]))
        else:
            return ran
