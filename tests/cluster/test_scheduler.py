"""Whatever happens on the nodes: one trial or control a node, no trial lost, none doubled."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cluster.scheduler import Scheduler, failed_for_good
from sipa.errors import TRIAL_ERRORS, Retry
from sipa.trial import Treatment, Trial
from sipa.workloads import Kind

TREATMENT = Treatment(kind=Kind.COMMAND, parameters={"command": "true"})
ERRORS = [*TRIAL_ERRORS, "MeterError", "ZeroDivisionError"]


def trial(number: int, repetition: int = 1) -> Trial:
    return Trial(treatment=TREATMENT, repetition=repetition, replicate="", trial_id=f"t{number:03}")


class AnySequenceOfOutcomes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queues = {"a": [trial(n) for n in range(5)], "b": [trial(n) for n in range(5, 8)], "c": []}
        self.all = {each.trial_id for queue in self.queues.values() for each in queue}
        self.retries = 2
        self.scheduler = Scheduler(self.queues, failures={}, retries=self.retries)
        self.attempts: dict[str, int] = {}
        self.given_back: set[str] = set()
        self.controls: set[str] = set()

    @precondition(lambda self: self.scheduler.idle_nodes())
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.scheduler.idle_nodes()))
        before = set(self.scheduler.running)
        taken = self.scheduler.begin(node)
        assert node not in before | self.controls | self.scheduler.quarantined
        self.attempts[taken.trial_id] = self.attempts.get(taken.trial_id, 0) + 1

    @precondition(lambda self: self.scheduler.running)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.scheduler.commit(data.draw(st.sampled_from(sorted(self.scheduler.running))))

    @precondition(lambda self: self.scheduler.running)
    @rule(data=st.data(), error=st.sampled_from(ERRORS))
    def fail(self, data: st.DataObject, error: str) -> None:
        node = data.draw(st.sampled_from(sorted(self.scheduler.running)))
        failed = self.scheduler.running[node].trial_id
        verdict = self.scheduler.fail(node, error)
        assert verdict.again == (failed not in self.scheduler.failed)
        if verdict.again and TRIAL_ERRORS[error].retry is Retry.OTHER_NODE and self.scheduler.usable:
            assert verdict.node != node
        if verdict.again and self.scheduler.usable:
            assert verdict.node in self.scheduler.usable

    @precondition(lambda self: self.scheduler.free_nodes())
    @rule(data=st.data())
    def begin_control(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.scheduler.free_nodes()))
        self.scheduler.begin_control(node)
        self.controls.add(node)
        assert node not in self.scheduler.free_nodes()

    @precondition(lambda self: self.controls)
    @rule(data=st.data())
    def end_control(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.controls)))
        self.scheduler.end_control(node)
        self.controls.remove(node)

    @rule(node=st.sampled_from("abc"))
    def quarantine(self, node: str) -> None:
        waiting = self.scheduler.waiting
        moved = self.scheduler.quarantine(node)
        assert self.scheduler.waiting == waiting
        if self.scheduler.usable:
            assert not self.scheduler.queue(node)
        else:
            assert not moved

    @precondition(lambda self: self.scheduler.running)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.scheduler.running)))
        self.given_back.add(self.scheduler.running[node].trial_id)
        self.scheduler.give_back(node)

    @rule(number=st.integers(0, 7))
    def drop(self, number: int) -> None:
        self.scheduler.drop({f"t{number:03}"})

    @rule()
    def drain(self) -> None:
        before = self.scheduler.waiting
        assert self.scheduler.drain() == before
        assert not self.scheduler.idle_nodes()

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        s = self.scheduler
        waiting = [each.trial_id for node in self.queues for each in s.queue(node)]
        running = [each.trial_id for each in s.running.values()]
        places = [*waiting, *running, *s.committed, *s.failed, *s.dropped, *s.held, *self.given_back]
        assert len(places) == len(set(places))
        assert set(places) == self.all
        assert s.left == len(waiting) + len(running)
        assert s.busy == bool(running or self.controls)
        assert not self.controls & set(s.running)

    @invariant()
    def attempts_are_bounded(self) -> None:
        assert all(count <= 1 + self.retries for count in self.attempts.values())


TestScheduler = AnySequenceOfOutcomes.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@given(st.lists(st.sampled_from(ERRORS), max_size=6), st.integers(0, 4), st.integers(1, 3))
def test_a_history_judges_like_the_run_that_made_it(errors: list[str], retries: int, nodes: int) -> None:
    """A replay over the failures on disk gives up exactly where the run did."""
    queues = {f"n{index}": [trial(0)] if index == 0 else [] for index in range(nodes)}
    scheduler = Scheduler(queues, failures={}, retries=retries)
    for count, error in enumerate(errors, start=1):
        if not scheduler.idle_nodes():
            break
        node = scheduler.idle_nodes()[0]
        scheduler.begin(node)
        verdict = scheduler.fail(node, error)
        assert verdict.again == (not failed_for_good(errors[:count], retries, nodes=nodes))


def test_a_drained_scheduler_begins_nothing() -> None:
    scheduler = Scheduler({"a": [trial(0), trial(1)]}, failures={}, retries=1)
    scheduler.begin("a")
    assert scheduler.drain() == 1
    scheduler.commit("a")
    assert not scheduler.idle_nodes()
    assert scheduler.left == 0


def test_a_quarantined_node_hands_its_trials_on_and_blocks_stay_blocks() -> None:
    queues = {
        "bad": [trial(0, 1), trial(1, 2), trial(2, 3)],
        "good": [trial(3, 1), trial(4, 2), trial(5, 3)],
        "other": [trial(6, 1), trial(7, 3), *(trial(8 + n, 4) for n in range(9))],
    }
    scheduler = Scheduler(queues, failures={}, retries=1)
    running = scheduler.begin("bad")
    moved = scheduler.quarantine("bad")
    assert [each.trial_id for each in moved] == ["t001", "t002"]
    assert [each.trial_id for each in scheduler.queue("good")] == ["t003", "t004", "t001", "t005", "t002"]
    assert "bad" not in scheduler.free_nodes()
    assert scheduler.running["bad"] == running, "what runs is finished"
    assert scheduler.fail("bad", "TrialCrash").node in ("good", "other")


def test_the_only_node_in_quarantine_keeps_its_trials_for_another_run() -> None:
    scheduler = Scheduler({"a": [trial(0), trial(1)]}, failures={}, retries=1)
    assert scheduler.quarantine("a") == ()
    assert not scheduler.idle_nodes()
    assert scheduler.drain() == 2
    assert scheduler.held == {"t000", "t001"}
