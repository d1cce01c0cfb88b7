"""The plan: complete, stable, and content-addressed so that an edit re-runs what it changes and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.plan import Plan, assign, make_plan
from sipa.plan.table import plan_table
from sipa.spec.model import (
    CommandOutput,
    Limits,
    Order,
    Prices,
    StaticHosts,
    SweepSpec,
    TestbedKind,
    TestbedSpec,
)
from sipa.trial import Trial, canonical
from sipa.workloads import Kind, ValueType
from tests.sipa.plan.sweeps import FACTORS, FIXED, contents, plan, sweep

BATCHES = st.lists(st.integers(1, 64), min_size=1, max_size=5, unique=True)
WEIGHTS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True)


@st.composite
def sweeps(draw: st.DrawFn) -> SweepSpec:
    """Sweeps of one protocol; factors stand in either table, levels are integers or whole floats."""
    batches = [float(each) if draw(st.booleans()) else each for each in draw(BATCHES)]
    parameters = {"weights": draw(WEIGHTS), "batch_size": batches, "images": draw(st.sampled_from([[9], [9, 50]]))}
    loose = {name for name, levels in parameters.items() if len(levels) == 1 and draw(st.booleans())}
    return sweep(
        {name: parameters[name] for name in draw(st.permutations(sorted(parameters))) if name not in loose},
        {**FIXED, **{name: canonical(parameters[name][0]) for name in loose}},
        repetitions=draw(st.integers(1, 4)),
        order=draw(st.sampled_from(Order)),
        seed=draw(st.integers(0, 3)),
        random_points=draw(st.none() | st.integers(1, 9)),
    )


def meaning(trial: Trial) -> tuple[object, ...]:
    """What a trial is, spelled out."""
    return tuple(sorted(trial.treatment.parameters.items())), trial.repetition, trial.replicate


@given(sweeps())
def test_every_treatment_and_repetition_is_planned_exactly_once(spec: SweepSpec) -> None:
    made = plan(spec)
    ids = [each.treatment_id for each in made.treatments]
    pairs = [(trial.treatment.treatment_id, trial.repetition) for trial in made.trials]
    repetitions = range(1, spec.design.repetitions + 1)
    assert sorted(pairs) == sorted((one, repetition) for one in set(ids) for repetition in repetitions)
    assert len(set(ids)) == len(ids)
    assert [trial.repetition for trial in made.trials] == sorted(trial.repetition for trial in made.trials)
    assert made.positions == {trial.trial_id: place for place, trial in enumerate(made.trials)}
    assert all(made.trial(trial.trial_id) is trial for trial in made.trials)


@given(sweeps())
def test_a_plan_is_stable(spec: SweepSpec) -> None:
    first, second = plan(spec), plan(spec)
    assert [trial.trial_id for trial in first.trials] == [trial.trial_id for trial in second.trials]


def test_these_ids_never_change() -> None:
    """Rows on disk carry them: whoever has to edit this test raises PROTOCOL_VERSION and says so."""
    assert [trial.trial_id for trial in plan().trials][:3] == GOLDEN


GOLDEN = ["2f87d9c8b08269b4", "d6a2605fd7b4b663", "3804f3de78baff56"]
"""Of protocol version 2: warm-up and cool-down are settings of it."""


@given(sweeps(), sweeps())
def test_two_trials_have_the_same_id_exactly_if_they_are_the_same(one: SweepSpec, two: SweepSpec) -> None:
    """So any edit of factors, fixed keys or repetitions re-runs exactly what it changes."""
    first, second = plan(one).trials, plan(two).trials
    same_ids = {trial.trial_id for trial in first} & {trial.trial_id for trial in second}
    same_meaning = {meaning(trial) for trial in first} & {meaning(trial) for trial in second}
    assert {meaning(trial) for trial in first if trial.trial_id in same_ids} == same_meaning
    assert len(same_ids) == len(same_meaning)


@given(sweeps())
def test_the_same_trials_on_1_2_3_and_5_nodes(spec: SweepSpec) -> None:
    made = plan(spec)
    seconds = {each.treatment_id: 10.0 for each in made.treatments}
    for count in (1, 2, 3, 5):
        queues = assign(made.trials, [f"node-{n}" for n in range(count)], seconds=seconds).queues
        assert sorted(t.trial_id for queue in queues.values() for t in queue) == sorted(made.positions)


def ids(spec: SweepSpec, **more: str) -> set[str]:
    return set(plan(spec, **more).positions)


def designed(**changes: Any) -> Callable[[SweepSpec], SweepSpec]:
    return lambda spec: replace(spec, design=replace(spec.design, **changes))


def measured(**changes: Any) -> Callable[[SweepSpec], SweepSpec]:
    return lambda spec: replace(spec, measurement=replace(spec.measurement, **changes))


RE_RUNS_NOTHING: dict[str, Callable[[SweepSpec], SweepSpec]] = {
    "price": lambda spec: replace(
        spec, prices=Prices(currency="EUR", electricity_per_kwh=0.3, node_hour=None, su_per_node_hour=None)
    ),
    "limits": lambda spec: replace(spec, limits=Limits(max_failures=1, retries=0)),
    "testbed": lambda spec: replace(
        spec,
        testbed=TestbedSpec(kind=TestbedKind.STATIC, static=StaticHosts(hosts=("a",), user=None, jump=None)),
    ),
    "name": lambda spec: replace(spec, name="other", source=Path("other.toml"), text="x", spec_hash="1"),
    "mirror": lambda spec: replace(spec, mirror="me@host:results"),
    "deadline": measured(deadline_s=60),
    "seed": designed(seed=1),
    "order": designed(order=Order.AS_LISTED),
    "integers as floats": lambda spec: sweep({**FACTORS, "batch_size": [1.0, 8.0, 32.0]}),
    "levels reordered": lambda spec: sweep({"batch_size": [32, 1, 8], "weights": ["large", "small"]}),
    "a fixed key as a factor": lambda spec: sweep(
        {**FACTORS, "dataset": ["digits"]}, {name: FIXED[name] for name in FIXED if name != "dataset"}
    ),
}


@pytest.mark.parametrize("edit", RE_RUNS_NOTHING)
def test_an_edit_that_changes_no_number_re_runs_nothing(edit: str) -> None:
    assert ids(RE_RUNS_NOTHING[edit](sweep())) == ids(sweep())


RE_RUNS_ALL: dict[str, Callable[[SweepSpec], SweepSpec]] = {
    "window": measured(min_window_s=11),
    "fixed key": lambda spec: sweep(fixed={**FIXED, "confidence": 0.01}),
    "fixed key added": lambda spec: sweep(fixed={**FIXED, "images": 50}),
}


@pytest.mark.parametrize("edit", RE_RUNS_ALL)
def test_an_edit_that_changes_every_number_re_runs_everything(edit: str) -> None:
    assert ids(RE_RUNS_ALL[edit](sweep())).isdisjoint(ids(sweep()))


def test_a_level_added_or_removed_and_repetitions_added_keep_the_rest() -> None:
    more = sweep({**FACTORS, "batch_size": [1, 4, 8, 32]})
    assert ids(sweep()) < ids(more)
    assert len(ids(more)) == len(ids(sweep())) + 6
    assert ids(sweep()) < ids(sweep(repetitions=5))


def test_a_replicate_measures_the_same_treatments_anew() -> None:
    first, again = plan(sweep()), plan(sweep(), replicate="again")
    assert first.positions.keys().isdisjoint(again.positions)
    assert [each.treatment_id for each in first.treatments] == [each.treatment_id for each in again.treatments]


def test_retrained_weights_re_run_their_own_trials_only() -> None:
    def retrained(kind: Kind, parameters: Any) -> dict[str, str]:
        found = contents(kind, parameters)
        return {**found, "weights_sha256": "new"} if parameters["weights"] == "large" else found

    kept = ids(sweep()) & set(make_plan(sweep(), contents=retrained).positions)
    assert kept == {trial.trial_id for trial in plan().trials if trial.treatment.parameters["weights"] == "small"}


def test_table_has_the_types_that_were_declared() -> None:
    made = plan(sweep({"weights": ["small"], "batch_size": [1, 8]}, {**FIXED, "confidence": 0}))
    table = plan_table(made)
    assert table.num_rows == len(made.trials) == 6
    assert table.schema.field("confidence").type == pa.float64()
    assert table.schema.field("batch_size").type == pa.int64()
    assert table["planned_position"].to_pylist() == list(range(6))
    assert table["trial_id"].to_pylist() == list(made.positions)


def test_table_of_a_command_has_its_free_factors() -> None:
    output = CommandOutput(free_types=(("rate", ValueType.NUMBER), ("fast", ValueType.BOOLEAN)))
    factors = {"rate": [1, 2.5], "fast": [True, False]}
    table = plan_table(plan(sweep(factors, {"command": "x {rate} {fast}"}, kind=Kind.COMMAND, output=output)))
    assert table.schema.field("rate").type == pa.float64()
    assert table.schema.field("fast").type == pa.bool_()
    assert table.schema.field("command").type == pa.string()


def test_a_sweep_without_treatments_is_an_empty_plan() -> None:
    everything = tuple((("weights", name),) for name in ("small", "large"))
    made: Plan = plan(sweep(exclude=everything))
    assert made.trials == ()
    assert plan_table(made).num_rows == 0
