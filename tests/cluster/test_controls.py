"""When controls run, and what becomes of a node whose control leaves its band."""

import json
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cluster.events import (
    ControlFinished,
    ControlStarted,
    Draining,
    Event,
    NodeQuarantined,
    SweepFinished,
    TrialProgress,
)
from cluster.loop import Stop
from cluster.survey import Request, Survey, survey
from cluster.sweep import run, run_with
from cluster.testbed import Node
from jobs.control import ControlOrder
from jobs.order import TrialOrder
from sipa.control import ControlResult, load
from sipa.energy.source import MeterKind
from sipa.errors import Interrupted
from sipa.plan import assign
from sipa.spec import parse_spec
from sipa.trial import Outcome
from tests.cluster.scripted import (
    CONTROL,
    ControlScript,
    Script,
    ScriptedWorkers,
    control_of,
    failure_of,
    result_of,
    what_runs,
)
from tests.cluster.sweeps import fast
from tests.sipa.energy.powercap_tree import LiveFeeder, PowercapTree

HERE = socket.gethostname()


def text(**options: Any) -> str:
    gates = options.pop("gates", "flag")
    return fast(**options).replace('gates = "flag"', f'gates = "{gates}"')


def request(folder: Path, **options: Any) -> Request:
    spec = parse_spec(text(**options), folder / "sweep.toml")
    return Request(spec=spec, results=folder / "results", lock=folder / "lock")


def spread(state: Survey, *names: str) -> Survey:
    """The same sweep on several nodes."""
    assignment = assign(state.remaining, list(names), seconds=state.durations.seconds(), committed={})
    nodes = tuple(Node(name=name, site=None, lease_id=None) for name in names)
    return replace(state, nodes=nodes, assignment=assignment)


def go(
    asked: Request,
    script: Script = result_of,
    *,
    control: ControlScript = control_of,
    nodes: Sequence[str] = (HERE,),
    meter: MeterKind = MeterKind.POWERCAP,
    stop: Stop | None = None,
) -> tuple[SweepFinished, list[Event], ScriptedWorkers]:
    events: list[Event] = []
    workers = ScriptedWorkers(script, nodes=nodes, meter=meter, control=control)
    state = survey(asked) if tuple(nodes) == (HERE,) else spread(survey(asked), *nodes)
    finished = run_with(state, workers, emit=events.append, stop=stop or Stop())
    return finished, events, workers


def sequence(workers: ScriptedWorkers, node: str = HERE) -> list[int | str]:
    """What a node was given: repetitions and controls."""
    return [
        each.trial.repetition if isinstance(each, TrialOrder) else CONTROL
        for each in workers.sequence
        if each.node == node
    ]


def flags(asked: Request) -> pd.Series:
    frame = pd.read_parquet(asked.folder / "trials")
    return frame["flags"].map(list)


class TestLoop:
    def test_start_between_and_end(self, tmp_path: Path) -> None:
        asked = request(tmp_path)
        finished, events, workers = go(asked)
        assert finished.exit_code == 0
        assert sequence(workers) == [CONTROL, 1, 1, 1, CONTROL, 2, 2, 2, CONTROL]
        assert [(each.place, each.after_block) for each in events if isinstance(each, ControlStarted)] == [
            ("start", 0),
            ("between", 1),
            ("end", 2),
        ]
        kept = load(asked.folder)
        assert [each.sequence for each in kept] == [0, 1, 2]
        assert [each.node for each in kept] == [HERE] * 3
        assert all(list(each) == [] for each in flags(asked))
        journal = (asked.folder / "events.jsonl").read_text()
        assert journal.count('"control-started"') == journal.count('"control-finished"') == 3
        assert not list((asked.folder / ".staging").iterdir())

    @pytest.mark.parametrize("meter", [MeterKind.MODEL, MeterKind.NONE])
    def test_an_estimate_has_no_controls(self, tmp_path: Path, meter: MeterKind) -> None:
        asked = request(tmp_path)
        _, _, workers = go(asked, meter=meter)
        assert not workers.controls
        assert not (asked.folder / "controls").exists()

    def test_zero_seconds_are_no_controls(self, tmp_path: Path) -> None:
        spec = parse_spec(fast().replace("idle_s = 0", "idle_s = 0\ncontrol_s = 0"), tmp_path / "sweep.toml")
        _, _, workers = go(Request(spec=spec, results=tmp_path / "results", lock=tmp_path / "lock"))
        assert not workers.controls

    def test_a_sweep_with_nothing_to_do_runs_none(self, tmp_path: Path) -> None:
        asked = request(tmp_path)
        go(asked)
        _, _, workers = go(asked)
        assert not workers.sequence

    def test_several_nodes_each_have_their_own(self, tmp_path: Path) -> None:
        asked = request(tmp_path, repetitions=4)
        finished, _, workers = go(asked, nodes=("a", "b"))
        assert finished.exit_code == 0
        for node in ("a", "b"):
            ran = sequence(workers, node)
            assert ran == what_runs([each for each in ran if isinstance(each, int)])

    def test_a_drain_skips_the_last_one_and_says_so(self, tmp_path: Path) -> None:
        stop = Stop()

        def script(order: TrialOrder) -> Outcome:
            stop.drain("Ctrl-C")
            return result_of(order)

        asked = request(tmp_path)
        finished, events, workers = go(asked, script, stop=stop)
        assert finished.exit_code == 7
        assert sequence(workers) == [CONTROL, 1]
        assert [each.without_control for each in events if isinstance(each, Draining)] == [True]
        assert '"without_control":true' in (asked.folder / "events.jsonl").read_text()

    def test_a_drain_before_the_last_control_ends_a_whole_sweep(self, tmp_path: Path) -> None:
        stop = Stop()

        def script(order: TrialOrder) -> Outcome:
            if order.position == 5:
                stop.drain("Ctrl-C")
            return result_of(order)

        finished, _, workers = go(request(tmp_path), script, stop=stop)
        assert (finished.exit_code, finished.committed) == (0, 6)
        assert sequence(workers)[-1] == 2

    def test_an_abort_during_a_control_is_no_failure(self, tmp_path: Path) -> None:
        stop = Stop()

        def control(order: ControlOrder) -> ControlResult:
            stop.abort()
            return control_of(order)

        asked = request(tmp_path, gates="refuse")
        with pytest.raises(Interrupted):
            go(asked, control=control, stop=stop)
        assert not (asked.folder / "controls").exists()
        assert not list((asked.folder / "failures").iterdir())
        assert len(survey(asked).remaining) == 6


def jumps(at: int, node: str = HERE) -> ControlScript:
    """Controls of 100 J; from one on, those of a node take a tenth more."""

    def control(order: ControlOrder) -> ControlResult:
        return control_of(order, 110.0 if order.node == node and order.sequence >= at else 100.0)

    return control


class TestBands:
    def test_refuse_quarantines_the_only_node_and_drains(self, tmp_path: Path) -> None:
        asked = request(tmp_path, repetitions=4, gates="refuse")
        finished, events, workers = go(asked, control=jumps(2))
        assert sequence(workers) == [CONTROL, 1, 1, 1, CONTROL, 2, 2, 2, CONTROL]
        assert (finished.exit_code, finished.committed, finished.remaining) == (7, 6, 6)
        assert "outside its band" in finished.reason
        (quarantined,) = [each for each in events if isinstance(each, NodeQuarantined)]
        assert (quarantined.node, quarantined.nodes_left) == (HERE, 0)
        for word in (
            "110 J",
            "10.0% above",
            "median 100 J",
            "2 earlier",
            "band 3%",
            "doctor --node",
        ):
            assert word in quarantined.reason
        kinds = [json.loads(line)["event"] for line in (asked.folder / "events.jsonl").read_text().splitlines()]
        assert kinds[-4:] == ["control-finished", "node-quarantined", "draining", "sweep-finished"]

    def test_the_next_session_looks_again_and_goes_on_when_the_node_is_well(self, tmp_path: Path) -> None:
        asked = request(tmp_path, repetitions=4, gates="refuse")
        go(asked, control=jumps(2))
        finished, _, _ = go(asked, control=jumps(0))
        assert (finished.exit_code, finished.remaining) == (7, 6), "still ill: it is stopped by its first control"
        finished, _, _ = go(asked)
        assert (finished.exit_code, finished.remaining) == (0, 0)

    def test_flag_goes_on_and_marks_the_rows(self, tmp_path: Path) -> None:
        asked = request(tmp_path, repetitions=4)
        finished, events, _ = go(asked, control=jumps(2))
        assert finished.exit_code == 0
        assert not [each for each in events if isinstance(each, NodeQuarantined)]
        frame = pd.read_parquet(asked.folder / "trials")
        marked = frame[frame["flags"].map(len) > 0]
        assert set(marked["repetition"]) == {3, 4}
        assert len(marked) == 6
        assert all(each[0].startswith("control: 110 J, 10.0% above the median 100 J") for each in marked["flags"])
        assert frame["valid"].all()

    @pytest.mark.parametrize("gates", ["flag", "refuse"])
    def test_no_energy_flags_and_never_quarantines(self, tmp_path: Path, gates: str) -> None:
        asked = request(tmp_path, gates=gates)
        finished, events, _ = go(asked, control=lambda order: control_of(order, None, "the counters stood still"))
        assert finished.exit_code == 0
        assert all(each == ["control: no energy: the counters stood still"] for each in flags(asked))
        assert all(each.doubtful for each in events if isinstance(each, ControlFinished))

    def test_other_nodes_take_over_what_a_quarantined_one_had(self, tmp_path: Path) -> None:
        asked = request(tmp_path, repetitions=6, gates="refuse")
        finished, events, workers = go(asked, control=jumps(2, "b"), nodes=("a", "b", "c"))
        assert (finished.exit_code, finished.committed) == (0, 18)
        (quarantined,) = [each for each in events if isinstance(each, NodeQuarantined)]
        assert (quarantined.node, quarantined.nodes_left) == ("b", 2)
        after = [place for place, each in enumerate(workers.sequence) if isinstance(each, ControlOrder)]
        assert after
        ran = sequence(workers, "b")
        assert ran[-1] == CONTROL
        moved = [each for found in flags(asked) for each in found if each.startswith("reassigned: planned for b")]
        assert len(moved) == quarantined.moved
        assert all(sequence(workers, node)[-1] == CONTROL for node in "ac")

    def test_a_peer_that_tells_late_marks_the_trial_that_runs(self, tmp_path: Path) -> None:
        """Node a is off by 20 %, which shows when the third node has run its control."""

        def control(order: ControlOrder) -> ControlResult:
            return control_of(order, 120.0 if order.node == "a" else 100.0)

        asked = request(tmp_path, repetitions=3, gates="refuse")
        finished, _, workers = go(asked, control=control, nodes=("a", "b", "c"))
        assert (finished.exit_code, finished.committed) == (0, 9)
        assert len(sequence(workers, "a")) <= 2

    def test_a_node_is_quarantined_once_though_its_peers_change(self, tmp_path: Path) -> None:
        """Node a is 6 % above the others, then 4.4 %, then 6 % again."""

        def control(order: ControlOrder) -> ControlResult:
            return control_of(order, 106.0 if order.node == "a" else 101.5 if order.sequence == 1 else 100.0)

        asked = request(tmp_path, repetitions=12, gates="refuse")
        finished, events, _ = go(asked, control=control, nodes=("a", "b", "c"))
        assert finished.exit_code == 0
        assert [each.node for each in events if isinstance(each, NodeQuarantined)] == ["a"]

    def test_what_crashes_on_a_quarantined_node_is_tried_elsewhere(self, tmp_path: Path) -> None:
        crashed: list[str] = []

        def script(order: TrialOrder) -> Outcome:
            if order.node == "a" and not crashed:
                crashed.append(order.trial.trial_id)
                return failure_of(order)
            assert order.node != "a" or order.trial.trial_id not in crashed
            return result_of(order)

        def control(order: ControlOrder) -> ControlResult:
            return control_of(order, 120.0 if order.node == "a" else 100.0)

        finished, _, _ = go(request(tmp_path, gates="refuse"), script, control=control, nodes=("a", "b", "c"))
        assert (finished.exit_code, finished.committed) == (0, 6)


MEASURED = (
    fast(factors={"x": "[1, 2]"})
    .replace('meter = "model"', 'meter = "powercap"\ncontrol_s = 0.2\nwarmup_max_s = 1\ncooldown_timeout_s = 0')
    .replace("[measurement.model]\nidle_w = 10\nmax_w = 20\n", "")
)


def test_a_real_sweep_whose_rows_bear_their_control(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path / "root")
    spec = parse_spec(MEASURED, tmp_path / "sweep.toml")
    asked = Request(spec=spec, results=tmp_path / "results", lock=tmp_path / "lock", root=tree.root)
    events: list[Event] = []
    with LiveFeeder(tree, {"pkg0": 50, "pkg1": 40, "dram0": 5, "dram1": 4}):
        finished = run(asked, ray=False, emit=events.append, stop=Stop())
    assert finished.exit_code == 0
    kept = load(asked.folder)
    assert [each.after_block for each in kept] == [0, 1, 2]
    assert all(each.energy_total_j for each in kept), [each.reason for each in kept]
    frame = pd.read_parquet(asked.folder / "trials").sort_values("position")
    assert frame["control_energy_j"].tolist() == [kept[each - 1].energy_total_j for each in frame["repetition"]]
    assert set(frame["control_id"]) == {kept[0].control_id}
    assert frame["control_duration_s"].tolist() == [kept[each - 1].duration_s for each in frame["repetition"]]
    assert all(
        (asked.folder / "controls" / f"{each.session_id}.{each.node}.{each.sequence}.log").exists() for each in kept
    )
    assert {each.phase for each in events if isinstance(each, TrialProgress) and each.trial_id == CONTROL} == {
        "load",
        "warmup",
        "control",
    }
