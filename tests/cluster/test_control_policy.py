"""When a control is due, and how a node stands by its own controls and its peers'."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cluster.controls import Controls, Past, Place, due, upcoming
from jobs.control import ControlOrder
from sipa.control import ControlResult
from sipa.spec import parse_spec
from tests.cluster.scripted import CONTROL, control_of, what_runs
from tests.cluster.sweeps import fast


class TestPolicy:
    @given(st.lists(st.integers(1, 5), max_size=20))
    def test_any_session(self, repetitions: list[int]) -> None:
        ran = what_runs(repetitions)
        assert [each for each in ran if each != CONTROL] == repetitions
        assert (CONTROL, CONTROL) not in list(pairwise(ran))
        if not repetitions:
            assert ran == []
            return
        assert (ran[0], ran[-1]) == (CONTROL, CONTROL)
        assert ran.count(CONTROL) == 1 + len(set(repetitions)), "start, each further repetition, end"
        for place, each in enumerate(ran):
            if each != CONTROL and each not in ran[:place]:
                assert ran[place - 1] == CONTROL

    @given(st.lists(st.integers(1, 5), max_size=20), st.data())
    def test_what_is_upcoming_is_what_will_run(self, repetitions: list[int], data: st.DataObject) -> None:
        assert upcoming(Past(), repetitions) == what_runs(repetitions).count(CONTROL)
        done = data.draw(st.integers(0, len(repetitions)))
        past = Past()
        for each in repetitions[:done]:
            past = past.after_control() if due(past, each, draining=False) else past
            past = past.after_trial(each)
        assert upcoming(past, repetitions[done:]) <= upcoming(Past(), repetitions)

    def test_places(self) -> None:
        past = Past()
        assert due(past, 3, draining=False) is Place.START
        past = past.after_control().after_trial(3)
        assert due(past, 3, draining=False) is None
        assert due(past, 4, draining=False) is Place.BETWEEN
        assert due(past, None, draining=False) is Place.END

    @given(st.one_of(st.none(), st.integers(1, 5)), st.booleans())
    def test_a_drain_runs_none(self, following: int | None, fresh: bool) -> None:
        past = Past(controls=1, blocks=frozenset({1}), last_block=1, fresh=fresh)
        assert due(past, following, draining=True) is None


def result(node: str, energy_j: float | None, sequence: int = 0) -> ControlResult:
    order = ControlOrder(
        session_id="s",
        node=node,
        sequence=sequence,
        after_block=0,
        measurement=parse_spec(fast(), Path("x.toml")).measurement,
        workspace=Path(),
        log=Path(),
        root=Path("/"),
    )
    return control_of(order, energy_j)


class TestStanding:
    def controls(self, *nodes: str) -> Controls:
        return Controls(nodes=nodes, models=dict.fromkeys(nodes, "Xeon"), earlier=(), nominal_s=60)

    def test_the_third_node_tells_which_of_three_is_off(self) -> None:
        controls = self.controls("a", "b", "c")
        assert controls.take(result("a", 120.0), 1) == ()
        assert controls.take(result("b", 100.0), 1) == ()
        assert controls.take(result("c", 101.0), 1) == ("a",)
        assert controls.flags("a")
        assert not controls.flags("b")
        assert controls.take(result("c", 101.0, 1), 1) == (), "it was outside before"

    def test_nodes_of_another_model_are_no_peers(self) -> None:
        controls = Controls(nodes="abc", models={"a": "x", "b": "y", "c": None}, earlier=(), nominal_s=60)
        for node, energy in zip("abc", (100.0, 200.0, 300.0), strict=True):
            assert controls.take(result(node, energy), 1) == ()

    def test_time_left(self) -> None:
        controls = self.controls("a")
        assert controls.left_s("a", [1, 1, 2]) == 3 * 60
        controls.begin_control("a")
        controls.take(result("a", 1.0), 50)
        assert controls.left_s("a", [1, 1, 2]) == 2 * 50
        assert controls.left_s("elsewhere", [1]) == 0
