"""Workers whose outcomes are scripted: the sweep's loop runs for real, the trials do not."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cluster.workers import Message
from jobs.order import TrialOrder
from sipa.columns import SCHEMA_VERSION
from sipa.trial import Outcome, Row, TrialFailure, TrialResult, digest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENVIRONMENT = {"cpu_model": "test", "packages": {"numpy": "2.0"}}

Script = Callable[[TrialOrder], Outcome]


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


class ScriptedWorkers:
    """`cluster.workers.Workers` that answer at once, one trial a node at a time."""

    def __init__(
        self, script: Script = result_of, *, node: str = "here", environment: Mapping[str, Any] = ENVIRONMENT
    ) -> None:
        self.orders: list[TrialOrder] = []
        self._script = script
        self._node = node
        self._environment = environment
        self._said: deque[Message] = deque()

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        return {self._node: self._environment}

    def submit(self, node: str, order: TrialOrder) -> None:
        assert not self._said, "one trial a node"
        self.orders.append(order)
        self._said.append(Message(node=node, content=self._script(order)))

    def wait(self, timeout_s: float) -> list[Message]:
        return [self._said.popleft()] if self._said else []

    def abort(self) -> None:
        self._said = deque(
            Message(node=each.node, content=failure_of(self.orders[-1], "TrialError")) for each in self._said
        )

    def close(self) -> None:
        pass
