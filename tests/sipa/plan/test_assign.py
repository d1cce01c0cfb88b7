"""Which node runs what: complete, level, balanced, linked, and in planned order."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipa.plan import Assignment, assign, moved
from sipa.trial import Trial
from tests.sipa.plan.sweeps import grid

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 9), st.integers(1, 8))
"""Treatments, repetitions, nodes."""


def names(count: int) -> list[str]:
    return [f"node-{number}" for number in range(count)]


def equal(treatments: int, seconds: float = 10.0) -> dict[str, float]:
    return {f"t{index}": seconds for index in range(treatments)}


def counts(queues: Sequence[Sequence[Trial]]) -> dict[str, list[int]]:
    """treatment_id -> trials on each node."""
    each = [Counter(trial.treatment.treatment_id for trial in queue) for queue in queues]
    return {treatment: [count[treatment] for count in each] for treatment in set().union(*each)}


def groups(queues: Sequence[Sequence[Trial]]) -> int:
    """Connected parts of the graph of treatments and nodes that have trials, reckoned the slow way."""
    parts: list[set[str]] = []
    for queue in queues:
        mine = {trial.treatment.treatment_id for trial in queue}
        touching = [part for part in parts if part & mine]
        parts = [part for part in parts if not part & mine] + ([mine.union(*touching)] if mine else [])
    return len(parts)


@st.composite
def forecasts(draw: st.DrawFn, treatments: int) -> dict[str, float]:
    seconds = st.sampled_from([5.0, 20.0, 300.0]) | st.floats(0.5, 1000)
    return {f"t{index}": draw(seconds) for index in range(treatments)}


@given(SIZES, st.data())
def test_complete_disjoint_level_and_in_planned_order(sizes: tuple[int, int, int], data: st.DataObject) -> None:
    treatments, repetitions, nodes = sizes
    trials = grid(treatments, repetitions)
    made = assign(trials, names(nodes), seconds=data.draw(forecasts(treatments)))
    assert list(made.queues) == names(nodes)
    place = {trial.trial_id: position for position, trial in enumerate(trials)}
    positions = [[place[trial.trial_id] for trial in queue] for queue in made.queues.values()]
    assert sorted(chain.from_iterable(positions)) == list(range(len(trials)))
    assert all(queue == sorted(queue) for queue in positions)
    assert all(max(each) - min(each) <= 1 for each in counts(list(made.queues.values())).values())


@given(SIZES)
def test_whole_repetitions_go_round_the_nodes_while_there_are_enough(sizes: tuple[int, int, int]) -> None:
    treatments, repetitions, nodes = sizes
    made = assign(grid(treatments, repetitions), names(nodes), seconds=equal(treatments)).nodes()
    for trial in grid(treatments, repetitions)[: treatments * (repetitions - repetitions % nodes)]:
        assert made[trial.trial_id] == f"node-{(trial.repetition - 1) % nodes}"


@given(SIZES)
def test_numbers_of_trials_differ_by_one_at_most_if_all_take_equally_long(sizes: tuple[int, int, int]) -> None:
    treatments, repetitions, nodes = sizes
    made = assign(grid(treatments, repetitions), names(nodes), seconds=equal(treatments, 0.1))
    lengths = [len(queue) for queue in made.queues.values()]
    assert max(lengths) - min(lengths) <= 1


@given(SIZES, st.data())
def test_loads_differ_by_no_more_than_the_longest_trial(sizes: tuple[int, int, int], data: st.DataObject) -> None:
    """With fewer repetitions than nodes the links may cost more: at most nodes - 1 of the shortest trials."""
    treatments, repetitions, nodes = sizes
    seconds = data.draw(forecasts(treatments))
    made = assign(grid(treatments, repetitions), names(nodes), seconds=seconds)
    loads = [sum(seconds[trial.treatment.treatment_id] for trial in queue) for queue in made.queues.values()]
    links = sum(sorted(seconds.values())[: nodes - 1]) if repetitions < nodes else 0.0
    assert max(loads) - min(loads) <= max(seconds.values()) + links + 1e-3


@given(SIZES, st.data())
def test_nodes_are_linked_whenever_that_is_possible(sizes: tuple[int, int, int], data: st.DataObject) -> None:
    """R >= N, or T (R - 1) >= N - 1: with fewer trials no assignment can link N nodes."""
    treatments, repetitions, nodes = sizes
    seconds = data.draw(st.just(equal(treatments)) | forecasts(treatments))
    made = assign(grid(treatments, repetitions), names(nodes), seconds=seconds)
    found = groups(list(made.queues.values()))
    assert (made.confounded is None) == (found == 1)
    if repetitions >= nodes or treatments * (repetitions - 1) >= nodes - 1:
        assert all(made.queues.values())
        assert found == 1


@pytest.mark.parametrize("nodes", range(2, 13))
def test_equal_trials_are_balanced_and_linked_for_every_size(nodes: int) -> None:
    for repetitions in range(2, nodes):
        for treatments in range(1, nodes + 2):
            made = assign(grid(treatments, repetitions), names(nodes), seconds=equal(treatments))
            lengths = [len(queue) for queue in made.queues.values()]
            assert max(lengths) - min(lengths) <= 1
            if treatments * (repetitions - 1) >= nodes - 1:
                assert made.confounded is None, (treatments, repetitions, nodes)


def test_links_are_made_even_where_balance_alone_would_not() -> None:
    """100, 99, 50, 48, 3: longest-first deals these to two pairs of nodes for ever."""
    seconds = {"t0": 100.0, "t1": 99.0, "t2": 50.0, "t3": 48.0, "t4": 3.0}
    made = assign(grid(5, 2), names(4), seconds=seconds)
    assert made.confounded is None
    assert all(max(each) <= 1 for each in counts(list(made.queues.values())).values())


def test_one_repetition_on_several_nodes_is_confounded_in_words() -> None:
    made = assign(grid(6, 1), names(3), seconds=equal(6))
    assert [len(queue) for queue in made.queues.values()] == [2, 2, 2]
    assert made.confounded is not None
    assert "node-0 | node-1 | node-2" in made.confounded
    assert "repetitions" in made.confounded


@given(st.integers(0, 8), st.integers(1, 5))
def test_one_node_runs_everything_in_planned_order(treatments: int, repetitions: int) -> None:
    trials = grid(treatments, repetitions)
    made = assign(trials, ["only"], seconds=equal(treatments))
    assert made.queues == {"only": trials}
    assert made.confounded is None


@pytest.mark.parametrize("nodes", [[], ["a", "a"]])
def test_no_node_or_a_node_twice_is_refused(nodes: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one node"):
        assign(grid(1, 1), nodes, seconds=equal(1))


def run_some(made: Assignment, done: dict[str, str], data: st.DataObject) -> None:
    """Each node runs the beginning of its queue."""
    for node, queue in made.queues.items():
        for trial in queue[: data.draw(st.integers(0, len(queue)))]:
            done[trial.trial_id] = node


@settings(max_examples=200)
@given(SIZES, st.data())
def test_when_nodes_come_and_go_the_rest_is_dealt_anew(sizes: tuple[int, int, int], data: st.DataObject) -> None:
    treatments, repetitions, nodes = sizes
    trials = grid(treatments, repetitions)
    seconds = data.draw(forecasts(treatments))
    done: dict[str, str] = {}
    made = assign(trials, names(nodes), seconds=seconds)
    for _ in range(2):
        run_some(made, done, data)
        present = data.draw(st.lists(st.sampled_from(names(9)), min_size=1, max_size=6, unique=True))
        made = assign(trials, present, seconds=seconds, committed=done)
        assert list(made.queues) == present
        left = [trial.trial_id for queue in made.queues.values() for trial in queue]
        assert sorted(left) == sorted(trial.trial_id for trial in trials if trial.trial_id not in done)
        order = [trial.trial_id for trial in trials]
        for queue in made.queues.values():
            assert [trial.trial_id for trial in queue] == [
                one for one in order if one in {trial.trial_id for trial in queue}
            ]
        level_where_possible(trials, made, done)


def level_where_possible(trials: Sequence[Trial], made: Assignment, done: dict[str, str]) -> None:
    """A node that was given a trial of a treatment has at most one more of it than the node with the fewest."""
    for treatment in {trial.treatment.treatment_id for trial in trials}:
        mine = [trial for trial in trials if trial.treatment.treatment_id == treatment]
        before = Counter(done[trial.trial_id] for trial in mine if trial.trial_id in done)
        given_ = Counter(
            node for node, queue in made.queues.items() for t in queue if t.treatment.treatment_id == treatment
        )
        fewest = min(before[node] + given_[node] for node in made.queues)
        assert all(before[node] + given_[node] <= fewest + 1 for node in given_)


@given(SIZES, st.data())
def test_resumed_on_the_same_nodes_whole_repetitions_stay(sizes: tuple[int, int, int], data: st.DataObject) -> None:
    treatments, repetitions, nodes = sizes
    trials = grid(treatments, repetitions)
    before = assign(trials, names(nodes), seconds=equal(treatments))
    done: dict[str, str] = {}
    run_some(before, done, data)
    after = assign(trials, names(nodes), seconds=equal(treatments), committed=done)
    whole = {trial.trial_id for trial in trials if trial.repetition <= repetitions - repetitions % nodes}
    assert not moved(before, after) & whole


def test_a_node_keeps_the_repetition_that_it_began_and_a_new_one_gets_its_share() -> None:
    trials = grid(4, 4)
    before = assign(trials, ["a", "b"], seconds=equal(4))
    done = {trial.trial_id: node for node in "ab" for trial in before.queues[node][:2]}
    after = assign(trials, ["a", "b", "c"], seconds=equal(4), committed=done)
    assert [trial.repetition for trial in after.queues["a"][:2]] == [1, 1]
    assert [trial.repetition for trial in after.queues["b"][:2]] == [2, 2]
    assert [trial.repetition for trial in after.queues["c"][:4]] == [3, 3, 3, 3]
    assert moved(before, after) <= {trial.trial_id for trial in trials if trial.repetition > 2}
    assert moved(before, after) >= {trial.trial_id for trial in trials if trial.repetition == 3}


def test_what_a_lost_node_began_is_dealt_to_the_others() -> None:
    trials = grid(4, 2)
    before = assign(trials, ["a", "b"], seconds=equal(4))
    done = {trial.trial_id: "b" for trial in before.queues["b"][:1]}
    after = assign(trials, ["a"], seconds=equal(4), committed=done)
    assert [trial.repetition for trial in after.queues["a"]] == [1, 1, 1, 1, 2, 2, 2]
    assert after.confounded is None


def test_a_stopped_treatment_counts_and_gets_no_more() -> None:
    trials = grid(3, 6)
    done = {trial.trial_id: "ab"[(trial.repetition - 1) % 2] for trial in trials if trial.repetition <= 2}
    wanted = [trial for trial in trials if trial.trial_id in done or trial.treatment.treatment_id != "t0"]
    made = assign(wanted, ["a", "b"], seconds=equal(3), committed=done)
    assert counts(list(made.queues.values())) == {"t1": [2, 2], "t2": [2, 2]}
