"""One worker pinned to each node through Ray; the only module that speaks to Ray. Here: a local instance, one node.

The resource `rapl: 1` excludes a second worker on a node; placement strategies do not. Ray is transport: it restarts
and retries nothing, because a retry that nobody counts is a trial that nobody can trust.
"""

import os
import queue
import secrets
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.workers import Message, Order, carry_out, without_result
from jobs.environment import environment_id
from jobs.session import Session, open_session
from jobs.watch import Progress
from sipa.control import ControlResult
from sipa.energy.source import MeterKind
from sipa.errors import MissingExtraError, NodeLost
from sipa.spec.model import MeasurementSpec
from sipa.trial import Outcome

RESOURCE = "rapl"
_CLOSE_S = 60.0

# Workers of Ray run at nice 15 otherwise; the rest keeps its daemons quiet while a trial is measured.
_QUIET = {
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_event_stats": "0",
}


class NodeWorker:
    """The actor: a node's session and one order at a time; progress is asked for, not sent."""

    def __init__(self) -> None:
        self._abort = threading.Event()
        self._session: Session | None = None
        self._progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._at_work = threading.Lock()

    def open(
        self, measurement: MeasurementSpec, root: Path, lock: Path, variables: Mapping[str, str]
    ) -> tuple[Mapping[str, Any], MeterKind]:
        """Open the session; returns the host's fingerprint and the energy source in use.

        Not the constructor: Ray would hide why it refused.
        """
        self._session = open_session(measurement, root=root, lock=lock, abort=self._abort, variables=variables)
        return self._session.identity.environment, self._session.meter.kind

    def run(self, order: Order) -> Outcome | ControlResult:
        """Measure one trial, or run the control workload."""
        if self._session is None:
            raise RuntimeError("the worker was not opened")
        with self._at_work:
            return carry_out(order, self._session, self._progress.put)

    def progress(self) -> list[Progress]:
        """What was said since the last call."""
        found = []
        while not self._progress.empty():
            found.append(self._progress.get())
        return found

    def abort(self) -> None:
        """Kill what runs."""
        self._abort.set()

    def close(self) -> None:
        """Kill what runs, then put the host back as it was: an actor that Ray ends leaves it as it is."""
        self._abort.set()
        with self._at_work:
            if self._session is not None:
                self._session.close()


@dataclass(slots=True)
class _Pending:
    node: str
    order: Order
    started_at: str


class RayWorkers:
    """`cluster.workers.Workers` over a local Ray instance with one node.

    Args:
        node: the node's name in the rows.
        measurement: how trials are measured.
        root: where counters and host state are read.
        lock: the node's lock file.

    Raises:
        MissingExtraError: Ray is not installed.
        MeterError: the node cannot measure what the spec asks for.
    """

    def __init__(self, node: str, *, measurement: MeasurementSpec, root: Path, lock: Path) -> None:
        # The user's, before Ray adds its own: a worker of Ray has OMP_NUM_THREADS=1 and knows the token.
        variables = dict(os.environ)
        self._ray = _start()
        self._node = node
        actor = self._ray.remote(NodeWorker).options(
            resources={RESOURCE: 1}, num_cpus=0, max_concurrency=2, max_restarts=0, max_task_retries=0
        )
        self._actor = actor.remote()
        self._pending: dict[Any, _Pending] = {}
        try:
            self._environment, self._meter = self._ray.get(self._actor.open.remote(measurement, root, lock, variables))
        except self._ray.exceptions.RayTaskError as error:
            self.close()
            raise error.cause from None

    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """See `Workers`."""
        return {self._node: self._environment}

    def meters(self) -> Mapping[str, MeterKind]:
        """See `Workers`."""
        return {self._node: self._meter}

    def submit(self, node: str, order: Order) -> None:
        """See `Workers`."""
        self._pending[self._actor.run.remote(order)] = _Pending(node, order, datetime.now(UTC).isoformat())

    def wait(self, timeout_s: float) -> list[Message]:
        """See `Workers`. A trial whose node died comes back as a failure."""
        if not self._pending:
            time.sleep(timeout_s)
            return []
        done, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=timeout_s)
        messages = [Message(node=self._node, content=each) for each in self._progress()]
        for reference in done:
            pending = self._pending.pop(reference)
            messages.append(Message(node=pending.node, content=self._outcome(reference, pending)))
        return messages

    def abort(self) -> None:
        """See `Workers`."""
        self._actor.abort.remote()

    def close(self) -> None:
        """See `Workers`."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.get(self._actor.close.remote(), timeout=_CLOSE_S)
        self._ray.shutdown()

    def _progress(self) -> list[Progress]:
        try:
            found: list[Progress] = self._ray.get(self._actor.progress.remote(), timeout=5)
        except self._ray.exceptions.RayError:
            return []
        return found

    def _outcome(self, reference: Any, pending: _Pending) -> Outcome | ControlResult:
        try:
            outcome: Outcome | ControlResult = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return without_result(
                pending.order,
                pending.started_at,
                f"{pending.node}: Ray lost the worker: {error}",
                error=NodeLost.__name__,
                environment_id=environment_id(self._environment),
            )
        return outcome


def _start() -> Any:
    # Ray listens on every interface and runs what it is sent; a token that only this run knows keeps others out.
    os.environ.update(_QUIET, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "cluster", "run --ray") from error
    on_terminate = signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local",
        num_cpus=os.cpu_count(),
        resources={RESOURCE: 1},
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
    )
    # ray.init puts its own handler in the place of ours, which drains the sweep.
    signal.signal(signal.SIGTERM, on_terminate)
    return ray
