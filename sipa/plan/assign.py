"""Which node runs which trial, in which order.

Whole repetitions go to nodes, because a block on one node compares its treatments within that node. Only
what would leave nodes idle is split, treatment by treatment, so that the nodes stay linked: two nodes that
share no treatment, not even by way of others, cannot be compared. Longest-first balances the nodes and
nothing else; on its node every trial keeps its place in the planned order.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sipa.plan.balance import Balance
from sipa.trial import Trial

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who runs what.

    Attributes:
        queues: node -> its trials in the order in which it runs them; a node without work has an empty one.
        confounded: in words, why node and treatment cannot be told apart; None when they can.
    """

    queues: Mapping[str, tuple[Trial, ...]]
    confounded: str | None

    def nodes(self) -> dict[str, str]:
        """trial_id -> node."""
        return {trial.trial_id: node for node, queue in self.queues.items() for trial in queue}


def assign(
    trials: Sequence[Trial],
    nodes: Sequence[str],
    *,
    seconds: Mapping[str, float],
    committed: Mapping[str, str] = _NOTHING,
) -> Assignment:
    """Give every trial that is left to a node.

    Fresh, with R repetitions of T treatments on N nodes: repetition b (from 0) goes to node b mod N while
    at least N are left; of the other r = R mod N each treatment has its r trials on r different nodes. So
    counts of a treatment differ by at most one between nodes, numbers of trials too if all take equally
    long, and the nodes are linked if R >= N or T (R - 1) >= N - 1 (with fewer trials no assignment links N
    nodes). When nodes come or go, each keeps the repetition that it began, and the rest is dealt as levelly
    as what is committed allows.

    Args:
        trials: what the sweep wants, in planned order; committed ones among them, so that they count.
        nodes: names of the nodes there are now; their order breaks ties.
        seconds: treatment_id -> forecast of one trial.
        committed: trial_id -> node of what is finished or running and so stays there; the node may be gone.

    Raises:
        ValueError: no node, or a node twice.
    """
    if not nodes or len(set(nodes)) != len(nodes):
        raise ValueError(f"assign() needs at least one node, each named once (got {list(nodes)})")
    held = {each.trial_id: committed[each.trial_id] for each in trials if each.trial_id in committed}
    balance = Balance(nodes, sorted(set(held.values()) - set(nodes)), seconds)
    blocks = _blocks(trials, held, balance)
    places: dict[str, int] = {}
    _deal(_give_whole(blocks, balance, places), balance, places)
    return Assignment(queues=_queues(trials, nodes, places), confounded=_confounded(balance))


def moved(before: Assignment, after: Assignment) -> frozenset[str]:
    """Ids of the trials that a new assignment took from one node and gave to another."""
    old = before.nodes()
    return frozenset(trial for trial, node in after.nodes().items() if old.get(trial, node) != node)


def _queues(trials: Sequence[Trial], nodes: Sequence[str], places: Mapping[str, int]) -> dict[str, tuple[Trial, ...]]:
    queues: list[list[Trial]] = [[] for _ in nodes]
    for trial in trials:
        if trial.trial_id in places:
            queues[places[trial.trial_id]].append(trial)
    return {node: tuple(queue) for node, queue in zip(nodes, queues, strict=True)}


def _confounded(balance: Balance) -> str | None:
    groups = balance.unlinked_groups()
    if len(groups) < 2:
        return None
    return (
        f"no treatment links these groups of nodes: {' | '.join(', '.join(names) for names in groups)}. "
        "A difference between treatments of two groups cannot be told from a difference between the nodes. "
        "Plan more repetitions (at least 2) or take fewer nodes."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One repetition.

    Attributes:
        waiting: its trials that are not committed.
        begun: whether any is.
        home: number of the node that should have the whole of it; None if no node should.
    """

    waiting: tuple[Trial, ...]
    begun: bool
    home: int | None


def _blocks(trials: Sequence[Trial], held: Mapping[str, str], balance: Balance) -> list[_Block]:
    """The repetitions in order; what is committed is recorded."""
    numbers = {name: number for number, name in enumerate(balance.names)}
    waiting: dict[int, list[Trial]] = {}
    seen: dict[int, set[int]] = {}
    for trial in trials:
        rest, nodes = waiting.setdefault(trial.repetition, []), seen.setdefault(trial.repetition, set())
        if trial.trial_id in held:
            node = numbers[held[trial.trial_id]]
            balance.record(trial, node)
            nodes.add(node)
        else:
            rest.append(trial)
    return [
        _Block(
            waiting=tuple(waiting[repetition]),
            begun=bool(seen[repetition]),
            home=_home(repetition, seen[repetition], balance.present),
        )
        for repetition in sorted(waiting)
    ]


def _home(repetition: int, seen: set[int], present: int) -> int | None:
    """The one node that began it, if it is still there; what nobody began goes round."""
    if not seen:
        return (repetition - 1) % present
    node = next(iter(seen))
    return node if len(seen) == 1 and node < present else None


def _give_whole(blocks: Sequence[_Block], balance: Balance, places: dict[str, int]) -> list[Trial]:
    """Give blocks to nodes as long as that leaves every treatment level; return the trials of the other blocks."""
    waiting = Counter(trial.treatment.treatment_id for block in blocks for trial in block.waiting)
    levels = {treatment: balance.level(treatment, trials) for treatment, trials in waiting.items()}

    def fits(block: _Block, node: int) -> bool:
        ids = (trial.treatment.treatment_id for trial in block.waiting)
        return all(balance.count(treatment, node) < levels[treatment] for treatment in ids)

    split: list[Trial] = []
    homeless: list[_Block] = []
    for block in sorted(blocks, key=lambda block: not block.begun):
        if block.home is not None and fits(block, block.home):
            _give(block, block.home, balance, places)
        elif block.begun:
            split += block.waiting
        else:
            homeless.append(block)
    for block in homeless:
        fitting = [node for node in range(balance.present) if fits(block, node)]
        if fitting:
            _give(block, min(fitting, key=balance.load), balance, places)
        else:
            split += block.waiting
    return split


def _give(block: _Block, node: int, balance: Balance, places: dict[str, int]) -> None:
    for trial in block.waiting:
        balance.put(trial, node)
        places[trial.trial_id] = node


def _deal(split: Sequence[Trial], balance: Balance, places: dict[str, int]) -> None:
    """Deal single trials: the treatments that take longest first, each to the nodes with the least load.

    The last treatments that can still make the links that are missing make them, whatever the load: they are
    the shortest, so it costs the least balance.
    """
    hands: dict[str, list[Trial]] = {}
    for trial in split:
        hands.setdefault(trial.treatment.treatment_id, []).append(trial)
    links = sum(balance.possible_links(treatment, len(hand)) for treatment, hand in hands.items())
    longest_first = sorted(hands, key=balance.ticks, reverse=True)
    for turn, treatment in enumerate(longest_first):
        hand = hands[treatment]
        own = balance.possible_links(treatment, len(hand))
        links -= own
        missing = balance.missing_links()
        must = links < missing <= links + own
        # Turned by one each time, so that no node has mostly the early or mostly the late repetitions.
        first = turn % len(hand)
        for trial in (*hand[first:], *hand[:first]):
            node = balance.best(treatment, link=must)
            balance.put(trial, node)
            places[trial.trial_id] = node
