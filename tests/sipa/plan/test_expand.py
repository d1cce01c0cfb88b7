"""Which treatments a sweep file stands for."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.plan import combinations, expand
from sipa.spec.model import CommandOutput
from sipa.workloads import Kind, Value, ValueType
from tests.sipa.plan.sweeps import combination, contents, sweep

LEVELS = st.lists(st.integers(1, 200), min_size=1, max_size=6, unique=True)


def points(spec: object) -> list[tuple[Value, Value]]:
    return [(each["weights"], each["batch_size"]) for each in combinations(spec)]  # type: ignore[arg-type]


def test_grid_is_in_file_order() -> None:
    assert points(sweep()) == [(w, b) for w in ("small", "large") for b in (1, 8, 32)]


def test_every_parameter_is_there_factors_first() -> None:
    names = list(combinations(sweep())[0])
    assert names[:2] == ["weights", "batch_size"]
    assert sorted(names[2:]) == ["confidence", "dataset", "execution", "nms_iou"]


def test_a_level_twice_is_one_level() -> None:
    spec = sweep({"weights": ["small"], "batch_size": [8, 8.0, 1]})
    assert points(spec) == [("small", 8), ("small", 1)]
    assert all(type(each["batch_size"]) is int for each in combinations(spec))


def test_true_and_one_are_two_levels() -> None:
    spec = sweep({"level": [1, True]}, {"command": "x {level}"}, kind=Kind.COMMAND)
    assert [type(each["level"]) for each in combinations(spec)] == [int, bool]
    without = replace(spec, design=replace(spec.design, exclude=(combination(level=True),)))
    assert [type(each["level"]) for each in combinations(without)] == [int]


def test_no_factor_is_one_treatment() -> None:
    assert len(combinations(sweep({}, {"weights": "small", "batch_size": 1}))) == 1


def test_exclude_names_some_factors() -> None:
    spec = sweep(exclude=(combination(batch_size=8.0), combination(weights="large", batch_size=32)))
    assert points(spec) == [("small", 1), ("small", 32), ("large", 1)]


def test_include_is_added_last_and_once() -> None:
    extra = combination(weights="small", batch_size=64)
    known = combination(weights="small", batch_size=8.0)
    assert points(sweep(include=(extra, known, extra))) == [*points(sweep()), ("small", 64)]


def test_what_is_included_is_there_whatever_exclude_says() -> None:
    one = combination(weights="small", batch_size=8)
    spec = sweep(exclude=(combination(weights="small"),), include=(one,))
    assert points(spec) == [("large", 1), ("large", 8), ("large", 32), ("small", 8)]


@given(LEVELS, st.integers(1, 12), st.integers(0, 5))
def test_draw_is_without_replacement_and_in_grid_order(levels: list[int], n: int, seed: int) -> None:
    factors = {"weights": ["small", "large"], "batch_size": levels}
    whole = points(sweep(factors))
    drawn = points(sweep(factors, random_points=n, seed=seed))
    assert len(drawn) == min(n, len(whole))
    assert drawn == [point for point in whole if point in set(drawn)]


@given(LEVELS, st.integers(201, 300), st.integers(1, 12), st.integers(0, 5))
def test_a_level_more_moves_no_point_that_stays_drawn(levels: list[int], new: int, n: int, seed: int) -> None:
    small = {"weights": ["small", "large"], "batch_size": levels}
    large = {"weights": ["small", "large"], "batch_size": [new, *levels]}
    before = set(points(sweep(small, random_points=n, seed=seed)))
    after = set(points(sweep(large, random_points=n, seed=seed)))
    assert {point for point in after if point[1] != new} <= before


def test_draw_depends_on_the_seed_and_not_on_where_a_parameter_stands() -> None:
    factors = {"weights": ["small", "large"], "batch_size": list(range(1, 30))}
    draws = {tuple(points(sweep(factors, random_points=5, seed=seed))) for seed in range(20)}
    assert len(draws) > 15
    moved = sweep(
        {**factors, "dataset": ["digits"]},
        {"execution": "reference", "confidence": 0.001, "nms_iou": 0.65},
        random_points=5,
    )
    assert points(moved) == points(sweep(factors, random_points=5))


def test_the_excluded_is_not_drawn_and_the_included_not_counted() -> None:
    spec = sweep(
        random_points=3,
        exclude=(combination(weights="large"),),
        include=(combination(weights="large", batch_size=8),),
    )
    assert points(spec) == [("small", 1), ("small", 8), ("small", 32), ("large", 8)]


def test_contents_are_asked_once_a_treatment_and_are_in_its_identity() -> None:
    asked: list[Mapping[str, Value]] = []

    def count(kind: Kind, parameters: Mapping[str, Value]) -> dict[str, str]:
        asked.append(parameters)
        return contents(kind, parameters)

    first = expand(sweep(), count)
    assert len(asked) == len(first) == 6
    other = expand(sweep(), lambda kind, parameters: {"weights_sha256": "retrained"})
    assert {each.treatment_id for each in first}.isdisjoint(each.treatment_id for each in other)


OUTPUT = CommandOutput(
    metrics=(("tokens", ValueType.INTEGER), ("loss", ValueType.NUMBER)),
    work_unit="token",
    work_key="tokens",
    begin_marker="BEGIN",
    end_marker="END",
    free_types=(("level", ValueType.INTEGER),),
)


def command_ids(output: CommandOutput, command: str = "x {level}") -> list[str]:
    spec = sweep({"level": [1, 2]}, {"command": command}, kind=Kind.COMMAND, output=output)
    return [each.treatment_id for each in expand(spec, lambda kind, parameters: {"inputs_sha256": "0"})]


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": OUTPUT.metrics[:1]},
        {"metrics": (("tokens", ValueType.NUMBER), ("loss", ValueType.NUMBER))},
        {"work_unit": "word"},
        {"work_key": None},
        {"begin_marker": None},
        {"end_marker": "DONE"},
    ],
    ids=str,
)
def test_what_a_command_declares_belongs_to_its_identity(change: dict[str, object]) -> None:
    assert set(command_ids(replace(OUTPUT, **change))).isdisjoint(command_ids(OUTPUT))  # type: ignore[arg-type]


def test_the_command_line_belongs_to_its_identity_and_the_order_of_metrics_does_not() -> None:
    assert set(command_ids(OUTPUT, "y {level}")).isdisjoint(command_ids(OUTPUT))
    assert command_ids(replace(OUTPUT, metrics=OUTPUT.metrics[::-1])) == command_ids(OUTPUT)
