"""How long planning takes. Expected for 100,000 trials: below 3 s on one core."""

from typing import Any

import pytest

from sipa.plan import assign, make_plan
from sipa.workloads import Kind
from tests.sipa.plan.sweeps import FIXED, sweep

HASHES = {"weights_sha256": "a" * 64, "dataset_sha256": "b" * 64}
SHAPES = [(100_000, 1), (20_000, 5), (100, 1000)]


def contents(kind: Kind, parameters: object) -> dict[str, str]:
    return HASHES


def spec(treatments: int, repetitions: int) -> Any:
    factors = {"weights": [f"w{index}" for index in range(20)], "batch_size": range(1, treatments // 20 + 1)}
    return sweep(factors, {**FIXED, "images": 500, "image_size": 640}, repetitions=repetitions)


@pytest.mark.bench
@pytest.mark.parametrize(("treatments", "repetitions"), SHAPES)
def test_plan_100_000_trials(benchmark: Any, treatments: int, repetitions: int) -> None:
    whole = spec(treatments, repetitions)
    made = benchmark.pedantic(make_plan, (whole,), {"contents": contents}, rounds=3, warmup_rounds=1)
    assert len(made.positions) == 100_000


@pytest.mark.bench
def test_assign_100_000_trials_to_five_nodes(benchmark: Any) -> None:
    made = make_plan(spec(20_000, 5 + 2), contents=contents)
    seconds = {each.treatment_id: 10.0 for each in made.treatments}
    nodes = [f"node-{number}" for number in range(5)]
    queues = benchmark.pedantic(assign, (made.trials[:100_000], nodes), {"seconds": seconds}, rounds=3).queues
    assert sum(map(len, queues.values())) == 100_000
