"""The seam between the sweep and its nodes: orders go in, progress and outcomes come out. Here, without Ray."""

import queue
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from jobs.control import ControlOrder, run_control
from jobs.control import result as control_result
from jobs.order import TrialOrder
from jobs.protocol import run_trial
from jobs.session import Session, open_session
from jobs.watch import Progress
from sipa.control import ControlResult
from sipa.energy.source import MeterKind
from sipa.spec.model import MeasurementSpec
from sipa.trial import Outcome, TrialFailure

Order = TrialOrder | ControlOrder
Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that a node says."""

    node: str
    content: Progress | Outcome | ControlResult


class Workers(Protocol):
    """One worker a node; each runs one trial, or the control workload, at a time."""

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """node -> the host's fingerprint."""
        ...

    def meters(self) -> Mapping[str, MeterKind]:
        """node -> the energy source in use there."""
        ...

    def submit(self, node: str, order: Order) -> None:
        """Begin a trial or the control workload on a node that is free."""
        ...

    def wait(self, timeout_s: float) -> list[Message]:
        """What nodes said since, waiting at most so long for the first message."""
        ...

    def abort(self) -> None:
        """Kill what runs: a trial's outcome is a failure, a control ends without a result."""
        ...

    def close(self) -> None:
        """Let the nodes go."""
        ...


class InProcessWorkers:
    """This machine as the one node, in a thread of the controller.

    Args:
        node: its name.
        measurement: how trials are measured.
        root: where counters and host state are read.
        lock: the node's lock file.

    Raises:
        MeterError: this machine cannot measure what the spec asks for.
    """

    def __init__(self, node: str, *, measurement: MeasurementSpec, root: Path, lock: Path) -> None:
        self._node = node
        self._abort = threading.Event()
        self._session = open_session(measurement, root=root, lock=lock, abort=self._abort)
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"worker-{node}", daemon=True)
        self._thread.start()

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """See `Workers`."""
        return {self._node: self._session.identity.environment}

    def meters(self) -> Mapping[str, MeterKind]:
        """See `Workers`."""
        return {self._node: self._session.meter.kind}

    def submit(self, node: str, order: Order) -> None:
        """See `Workers`."""
        if node != self._node:
            raise ValueError(f"no such node: {node}")
        self._orders.put(order)

    def wait(self, timeout_s: float) -> list[Message]:
        """See `Workers`."""
        return drain(self._messages, timeout_s)

    def abort(self) -> None:
        """See `Workers`."""
        self._abort.set()

    def close(self) -> None:
        """See `Workers`; a trial that still runs is killed."""
        self._abort.set()
        self._orders.put(None)
        self._thread.join()
        self._session.close()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            outcome = carry_out(order, self._session, self._say)
            self._messages.put(Message(node=self._node, content=outcome))

    def _say(self, progress: Progress) -> None:
        self._messages.put(Message(node=self._node, content=progress))


def carry_out(order: Order, session: Session, say: Report) -> Outcome | ControlResult:
    """Run an order; a defect of ours becomes its failure, with its traceback, not a dead worker."""
    started = datetime.now(UTC).isoformat()
    try:
        return run_control(order, session, say) if isinstance(order, ControlOrder) else run_trial(order, session, say)
    except Exception as error:  # noqa: BLE001 told to the sweep, which records it
        why = f"a defect of sipa-cluster or of this machine: {error}\n{traceback.format_exc()}"
        environment_id = session.identity.columns["environment_id"]
        return without_result(order, started, why, error=type(error).__name__, environment_id=environment_id)


def without_result(
    order: Order, started_at: str, why: str, *, error: str, environment_id: str
) -> TrialFailure | ControlResult:
    """The outcome of an order that nothing came back from.

    Args:
        order: what was asked for.
        started_at: UTC, ISO 8601.
        why: in words.
        error: class of the failure.
        environment_id: of the node.
    """
    if isinstance(order, ControlOrder):
        return control_result(order, environment_id=environment_id, started_at=started_at, reason=why)
    return TrialFailure(
        trial_id=order.trial.trial_id,
        attempt=order.attempt,
        error=error,
        message=why,
        phase="worker",
        node=order.node,
        started_at=started_at,
        ended_at=datetime.now(UTC).isoformat(),
    )


def drain(messages: "queue.SimpleQueue[Message]", timeout_s: float) -> list[Message]:
    """Everything in a queue, waiting at most so long for the first."""
    found: Sequence[Message] = ()
    try:
        found = [messages.get(timeout=timeout_s)]
        while True:
            found = [*found, messages.get_nowait()]
    except queue.Empty:
        return list(found)
