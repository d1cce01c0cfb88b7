"""When a node's control workload is due, and what its joules say about the node: values in, decisions out.

A control is due before a node's first trial, before the first trial of each further repetition, and when nothing is
left for the node; never twice in a row, never once the sweep drains.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

from sipa.control import ControlResult, Verdict, judge


class Place(StrEnum):
    """Where in a node's session a control stands."""

    START = "start"
    BETWEEN = "between"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a node did in this session.

    Attributes:
        controls: how many it began.
        blocks: repetitions of which it began a trial.
        last_block: the repetition of its last trial; 0 before the first.
        fresh: nothing ran since its last control.
    """

    controls: int = 0
    blocks: frozenset[int] = frozenset()
    last_block: int = 0
    fresh: bool = False

    def after_control(self) -> "Past":
        """The past once a control has begun."""
        return replace(self, controls=self.controls + 1, fresh=True)

    def after_trial(self, repetition: int) -> "Past":
        """The past once a trial has begun."""
        return replace(self, blocks=self.blocks | {repetition}, last_block=repetition, fresh=False)


def due(past: Past, next_repetition: int | None, *, draining: bool) -> Place | None:
    """Whether a free node runs a control now, instead of its next trial.

    A trial that is tried again late belongs to a repetition that the node began long ago: no control for it alone.

    Args:
        past: of the node.
        next_repetition: of its next trial; None when its queue is empty.
        draining: whether the sweep ends early; its last control is left out, for somebody waits.
    """
    if draining or past.fresh:
        return None
    if next_repetition is None:
        return Place.END if past.last_block else None
    if past.controls == 0:
        return Place.START
    return None if next_repetition in past.blocks else Place.BETWEEN


def upcoming(past: Past, repetitions: Iterable[int]) -> int:
    """How many controls a node still runs until its queue is empty, the last one included."""
    count = 0
    for repetition in repetitions:
        if due(past, repetition, draining=False) is not None:
            past, count = past.after_control(), count + 1
        past = past.after_trial(repetition)
    return count + (due(past, None, draining=False) is not None)


@dataclass(slots=True, kw_only=True)
class Controls:
    """The controls of one session: what each node did, and how it stands.

    Args:
        nodes: those that run controls: where energy is measured and the sweep file asks for them.
        models: node -> CPU model; nodes of one model are compared.
        earlier: controls of earlier sessions of this sweep.
        nominal_s: how long one takes until the first has been seen.
    """

    nodes: Collection[str]
    models: Mapping[str, str | None]
    earlier: Sequence[ControlResult]
    nominal_s: float
    _pasts: dict[str, Past] = field(default_factory=dict)
    _results: list[ControlResult] = field(default_factory=list)
    _verdicts: dict[str, Verdict] = field(default_factory=dict)
    _seconds: list[float] = field(default_factory=list)

    def past(self, node: str) -> Past:
        """What the node did in this session."""
        return self._pasts.get(node, Past())

    def due(self, node: str, next_repetition: int | None, *, draining: bool) -> Place | None:
        """See `due`; None for a node without controls."""
        return due(self.past(node), next_repetition, draining=draining) if node in self.nodes else None

    def begin_control(self, node: str) -> None:
        """The node begins a control."""
        self._pasts[node] = self.past(node).after_control()

    def begin_trial(self, node: str, repetition: int) -> None:
        """The node begins a trial."""
        self._pasts[node] = self.past(node).after_trial(repetition)

    def take(self, result: ControlResult, seconds: float) -> tuple[str, ...]:
        """A control has ended; returns the nodes that are outside their band now and were not before.

        One result may tell of other nodes: three make a band where two made none.

        Args:
            result: of the control.
            seconds: for which it kept its node.
        """
        self._seconds.append(seconds)
        known = [*self.earlier, *self._results]
        self._results.append(result)
        before = {node for node, verdict in self._verdicts.items() if verdict.outside}
        last = {each.node: each for each in self._results}
        for node, each in last.items():
            if node == result.node or self._alike(node, result.node):
                peers = [other for name, other in last.items() if self._alike(name, node)]
                self._verdicts[node] = judge(each, earlier=known, peers=peers)
        return tuple(node for node, verdict in self._verdicts.items() if verdict.outside and node not in before)

    def verdict(self, node: str) -> Verdict | None:
        """How the node stands by its last control; None before the first."""
        return self._verdicts.get(node)

    def flags(self, node: str) -> list[str]:
        """What the rows of a node must say now."""
        verdict = self._verdicts.get(node)
        return [f"control: {verdict.text}"] if verdict is not None and verdict.doubtful else []

    def left_s(self, node: str, repetitions: Iterable[int]) -> float:
        """Seconds of the controls that the node still runs."""
        if node not in self.nodes:
            return 0.0
        each = median(self._seconds) if self._seconds else self.nominal_s
        return upcoming(self.past(node), repetitions) * each

    def skipped_by_drain(self) -> bool:
        """Whether some node would have run another control."""
        return any(due(self.past(node), None, draining=False) is not None for node in self.nodes)

    def _alike(self, one: str, other: str) -> bool:
        return self.models.get(one) is not None and self.models.get(one) == self.models.get(other)
