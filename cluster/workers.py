"""The seam between the sweep and its nodes: orders go in, progress and outcomes come out. Here, without Ray."""

import os
import queue
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from jobs.environment import identify
from jobs.order import TrialOrder
from jobs.preflight import verify_host
from jobs.protocol import Session, run_trial
from jobs.trial_process import open_meter
from jobs.watch import Progress
from sipa.spec.model import MeasurementSpec
from sipa.trial import Outcome, TrialFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that a node says."""

    node: str
    content: Progress | Outcome


class Workers(Protocol):
    """One worker a node; each runs one trial at a time."""

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """node -> the host's fingerprint."""
        ...

    def submit(self, node: str, order: TrialOrder) -> None:
        """Begin a trial on a node that is free."""
        ...

    def wait(self, timeout_s: float) -> list[Message]:
        """What nodes said since, waiting at most so long for the first message."""
        ...

    def abort(self) -> None:
        """Kill the running trials; their outcomes are failures."""
        ...

    def close(self) -> None:
        """Let the nodes go."""
        ...


def open_session(
    measurement: MeasurementSpec,
    *,
    root: Path,
    lock: Path,
    abort: threading.Event,
    variables: Mapping[str, str] | None = None,
) -> Session:
    """A node's session: counters open, identity read.

    Args:
        measurement: what must be measurable.
        root: where counters and host state are read.
        lock: the node's lock file.
        abort: set to kill the running trial.
        variables: the environment that trials run in; this process' own if not given.

    Raises:
        HostError: the host is not in the state that the spec asks for.
        MeterError: this node cannot measure what the spec asks for.
    """
    identity = identify(root)
    verify_host(measurement, identity.environment)
    return Session(
        meter=open_meter(measurement, root),
        identity=identity,
        lock=lock,
        abort=abort.is_set,
        variables=dict(os.environ if variables is None else variables),
    )


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
        self._orders: queue.SimpleQueue[TrialOrder | None] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"worker-{node}", daemon=True)
        self._thread.start()

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """See `Workers`."""
        return {self._node: self._session.identity.environment}

    def submit(self, node: str, order: TrialOrder) -> None:
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
        self._session.meter.close()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            outcome = attempt(order, self._session, self._say)
            self._messages.put(Message(node=self._node, content=outcome))

    def _say(self, progress: Progress) -> None:
        self._messages.put(Message(node=self._node, content=progress))


def attempt(order: TrialOrder, session: Session, say: Any) -> Outcome:
    """Run a trial; a defect of ours becomes a failure of the trial, with its traceback, not a dead worker."""
    started = datetime.now(UTC).isoformat()
    try:
        return run_trial(order, session, say)
    except Exception as error:  # noqa: BLE001 told to the sweep, which records it
        return TrialFailure(
            trial_id=order.trial.trial_id,
            attempt=order.attempt,
            error=type(error).__name__,
            message=f"a defect of sipa-cluster or of this machine: {error}\n{traceback.format_exc()}",
            phase="worker",
            node=order.node,
            started_at=started,
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
