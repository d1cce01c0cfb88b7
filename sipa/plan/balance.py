"""What every node has so far while trials are dealt: its load, its treatments, and to whom these link it.

Two nodes are linked when a treatment runs on both, or by way of other nodes. Loads are whole microseconds, so
that equal sums are equal and ties are ties.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sipa.trial import Trial

_TICKS_PER_S = 1_000_000


@lru_cache(maxsize=4096)
def _level(counts: tuple[int, ...], more: int) -> int:
    """The highest level that filling up the lowest first reaches everywhere."""
    level = min(counts)
    while sum(max(0, level + 1 - count) for count in counts) <= more:
        level += 1
    return level


class Balance:
    """The table at which trials are dealt. Nodes are numbers: present ones first, then those that are gone.

    Attributes:
        names: of the nodes.
        present: how many there are now.
    """

    def __init__(self, nodes: Sequence[str], gone: Iterable[str], seconds: Mapping[str, float]) -> None:
        self.names = [*nodes, *gone]
        self.present = len(nodes)
        self._ticks = {treatment: round(forecast * _TICKS_PER_S) for treatment, forecast in seconds.items()}
        self._loads = [0] * self.present
        self._counts: dict[str, list[int]] = {}
        self._parts = list(range(len(self.names)))

    def ticks(self, treatment_id: str) -> int:
        """Forecast of one trial of a treatment, in microseconds."""
        return self._ticks[treatment_id]

    def load(self, node: int) -> int:
        """Forecast of what a present node has to run, in microseconds."""
        return self._loads[node]

    def count(self, treatment_id: str, node: int) -> int:
        """Trials of a treatment that a node has run or will run."""
        counts = self._counts.get(treatment_id)
        return counts[node] if counts else 0

    def level(self, treatment_id: str, trials: int) -> int:
        """How many trials of a treatment every present node can have at least if so many more are dealt."""
        counts = self._counts.get(treatment_id)
        return _level(tuple(counts[: self.present]) if counts else (0,) * self.present, trials)

    def put(self, trial: Trial, node: int) -> None:
        """A trial that a present node will run."""
        self._loads[node] += self._ticks[trial.treatment.treatment_id]
        self.record(trial, node)

    def record(self, trial: Trial, node: int) -> None:
        """A trial that a node ran: it counts and links, and is no load."""
        counts = self._counts.setdefault(trial.treatment.treatment_id, [0] * len(self.names))
        if not counts[node]:
            self._link(node, counts)
        counts[node] += 1

    def _link(self, node: int, counts: Sequence[int]) -> None:
        label = self._parts[node]
        joined = {self._parts[other] for other, count in enumerate(counts) if count} - {label}
        if joined:
            self._parts = [label if part in joined else part for part in self._parts]

    def missing_links(self) -> int:
        """How many links would join all present nodes."""
        return len(set(self._parts[: self.present])) - 1

    def possible_links(self, treatment_id: str, trials: int) -> int:
        """How many links so many trials of a treatment can make: its very first one makes none."""
        return trials - (treatment_id not in self._counts)

    def best(self, treatment_id: str, *, link: bool) -> int:
        """The present node that one more trial of a treatment goes to.

        It is one of those with the fewest trials of that treatment: the least loaded; of equally loaded ones,
        one that makes a link.

        Args:
            treatment_id: the treatment.
            link: a link matters more than the load.
        """
        counts = self._counts.get(treatment_id) or [0] * len(self.names)
        fewest = min(counts[: self.present])
        joined = {self._parts[node] for node, count in enumerate(counts) if count}

        def rank(node: int) -> tuple[int, int, int]:
            old = int(self._parts[node] in joined)
            return (old, self._loads[node], node) if link else (self._loads[node], old, node)

        return min((node for node in range(self.present) if counts[node] == fewest), key=rank)

    def unlinked_groups(self) -> list[list[str]]:
        """Names of the nodes that have anything, by linked group."""
        groups: dict[int, list[str]] = {}
        for node, name in enumerate(self.names):
            if any(counts[node] for counts in self._counts.values()):
                groups.setdefault(self._parts[node], []).append(name)
        return list(groups.values())
