"""Which trial next, on which node, once more or not: values in, decisions out. No clock, no thread, no file.

Its promise, for any sequence of outcomes: a node has at most one trial or control at a time, a trial is on at most one
node, and every trial ends as committed, failed for good, or dropped.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sipa.errors import TRIAL_ERRORS, Retry
from sipa.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a failure means.

    Attributes:
        again: the trial will be tried once more.
        node: where; None when it will not.
    """

    again: bool
    node: str | None


def retry_of(error: str) -> Retry:
    """Where another attempt makes sense after an error of that class; never after one that is not a trial's."""
    kind = TRIAL_ERRORS.get(error)
    return kind.retry if kind else Retry.NEVER


def failed_for_good(errors: Sequence[str], retries: int, *, nodes: int) -> bool:
    """Whether a trial with these failures, oldest first, is left alone.

    Args:
        errors: class of each failed attempt.
        retries: further attempts that a trial may have.
        nodes: how many nodes there are; with one, another node is no way out.
    """
    if not errors:
        return False
    retry = retry_of(errors[-1])
    hopeless = retry is Retry.NEVER or (retry is Retry.OTHER_NODE and nodes < 2)
    return hopeless or len(errors) > retries


class Scheduler:
    """The state of a run.

    Its trials are in the queues, running, or in exactly one of `committed`, `failed`, `dropped` (the stop rule) and
    `held` (left for another run), but for those that the user stopped. A node is free, at a trial, or at a control
    workload; one in `quarantined` begins neither any more.

    Args:
        queues: node -> its trials in order (see `sipa.plan.assign`).
        failures: trial_id -> classes of the failures that count against it.
        retries: further attempts that a trial may have.
    """

    def __init__(
        self, queues: Mapping[str, Sequence[Trial]], *, failures: Mapping[str, Sequence[str]], retries: int
    ) -> None:
        self._queues = {node: deque(trials) for node, trials in queues.items()}
        self._errors = {trial_id: list(errors) for trial_id, errors in failures.items()}
        self._retries = retries
        self._running: dict[str, Trial] = {}
        self._controls: set[str] = set()
        self.quarantined: set[str] = set()
        self.failed: set[str] = set()
        self.committed: set[str] = set()
        self.dropped: set[str] = set()
        self.held: set[str] = set()

    @property
    def running(self) -> Mapping[str, Trial]:
        """node -> the trial it is busy with."""
        return dict(self._running)

    @property
    def waiting(self) -> int:
        """Trials that no node has begun."""
        return sum(map(len, self._queues.values()))

    @property
    def left(self) -> int:
        """Trials that wait or run."""
        return self.waiting + len(self._running)

    def queue(self, node: str) -> tuple[Trial, ...]:
        """What a node still has before it."""
        return tuple(self._queues[node])

    @property
    def busy(self) -> bool:
        """Whether any node is at a trial or at a control."""
        return bool(self._running or self._controls)

    @property
    def usable(self) -> tuple[str, ...]:
        """Nodes that are not quarantined."""
        return tuple(node for node in self._queues if node not in self.quarantined)

    def free_nodes(self) -> tuple[str, ...]:
        """Nodes that are at nothing, whether or not they have a trial left."""
        return tuple(node for node in self.usable if node not in self._running and node not in self._controls)

    def idle_nodes(self) -> tuple[str, ...]:
        """Nodes that could begin a trial now."""
        return tuple(node for node in self.free_nodes() if self._queues[node])

    def begin(self, node: str) -> Trial:
        """Take the node's next trial.

        Raises:
            ValueError: the node is busy, quarantined or has nothing to do.
        """
        if node not in self.idle_nodes():
            raise ValueError(f"node {node} is busy, quarantined or has nothing to do")
        trial = self._queues[node].popleft()
        self._running[node] = trial
        return trial

    def begin_control(self, node: str) -> None:
        """The node begins its control workload.

        Raises:
            ValueError: the node is busy or quarantined.
        """
        if node not in self.free_nodes():
            raise ValueError(f"node {node} is busy or quarantined")
        self._controls.add(node)

    def end_control(self, node: str) -> None:
        """The node's control workload is over."""
        self._controls.remove(node)

    def quarantine(self, node: str) -> tuple[Trial, ...]:
        """The node begins nothing any more; returns the trials that other nodes take over.

        Each is put at the end of its own repetition in the shortest queue, so that blocks stay blocks. Without another
        node they stay where they are, for the caller to drain.
        """
        self.quarantined.add(node)
        if not self.usable:
            return ()
        moved = tuple(self._queues[node])
        self._queues[node].clear()
        for trial in moved:
            self._put_in(self._shortest(self.usable), trial)
        return moved

    def commit(self, node: str) -> None:
        """The node's trial has a row."""
        self.committed.add(self._running.pop(node).trial_id)

    def fail(self, node: str, error: str) -> Verdict:
        """The node's trial failed: put it at the end of a queue, or give it up."""
        trial = self._running.pop(node)
        errors = self._errors.setdefault(trial.trial_id, [])
        errors.append(error)
        nodes = len({*self.usable, node})
        if failed_for_good(errors, self._retries, nodes=nodes):
            self.failed.add(trial.trial_id)
            return Verdict(again=False, node=None)
        target = self._retry_on(node, retry_of(error))
        self._queues[target].append(trial)
        return Verdict(again=True, node=target)

    def give_back(self, node: str) -> None:
        """The node's trial was stopped by the user: it is neither done nor failed."""
        self._running.pop(node)

    def drop(self, trial_ids: Collection[str]) -> int:
        """Take waiting trials out (the stop rule); returns how many there were."""
        found = 0
        for node, queue in self._queues.items():
            kept = deque(trial for trial in queue if trial.trial_id not in trial_ids)
            found += len(queue) - len(kept)
            self.dropped |= {trial.trial_id for trial in queue} - {trial.trial_id for trial in kept}
            self._queues[node] = kept
        spared = self.held & set(trial_ids)
        self.held -= spared
        self.dropped |= spared
        return found + len(spared)

    def drain(self) -> int:
        """Begin nothing any more; returns how many trials are left for another run."""
        waiting = self.waiting
        for queue in self._queues.values():
            self.held |= {trial.trial_id for trial in queue}
            queue.clear()
        return waiting

    def _retry_on(self, node: str, retry: Retry) -> str:
        """A node that may try again; the same one, to be drained, when all are quarantined."""
        if retry is Retry.SAME_NODE and node in self.usable:
            return node
        others = [each for each in self.usable if each != node]
        return self._shortest(others) if others else node

    def _shortest(self, nodes: Iterable[str]) -> str:
        return min(nodes, key=lambda each: len(self._queues[each]))

    def _put_in(self, node: str, trial: Trial) -> None:
        queue = self._queues[node]
        later = (place for place, each in enumerate(queue) if each.repetition > trial.repetition)
        queue.insert(next(later, len(queue)), trial)
