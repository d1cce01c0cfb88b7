"""Small sweeps for tests, built as values: no file is parsed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sipa.plan import Plan, make_plan
from sipa.spec.model import (
    CommandOutput,
    DesignSpec,
    Gates,
    Limits,
    MeasurementSpec,
    Meter,
    Order,
    Prices,
    Scope,
    SweepSpec,
    TestbedKind,
    TestbedSpec,
    WorkloadSpec,
)
from sipa.trial import Treatment, Trial, trial_id
from sipa.workloads import Kind, Value

FIXED: dict[str, Value] = {"dataset": "digits", "execution": "reference", "confidence": 0.001, "nms_iou": 0.65}
FACTORS: dict[str, Sequence[Value]] = {"weights": ["small", "large"], "batch_size": [1, 8, 32]}
DESIGN = DesignSpec(
    repetitions=3,
    order=Order.RANDOMISED_BLOCKS,
    seed=20241207,
    random_points=None,
    include=(),
    exclude=(),
    stop=None,
)
MEASUREMENT = MeasurementSpec(
    meter=(Meter.POWERCAP, Meter.PERF),
    idle_s=60,
    min_window_s=10,
    warmup_max_s=60,
    cooldown_within_c=3,
    cooldown_timeout_s=300,
    control_s=60,
    max_foreign_cores=0.05,
    gates=Gates.REFUSE,
    deadline_s=3600,
    governor="performance",
    turbo=False,
    scope=Scope.PHASES,
    model=None,
)
NO_PRICES = Prices(currency=None, electricity_per_kwh=None, node_hour=None, su_per_node_hour=None)


def sweep(
    factors: Mapping[str, Sequence[Value]] = FACTORS,
    fixed: Mapping[str, Value] = FIXED,
    *,
    kind: Kind = Kind.DETECTION,
    output: CommandOutput | None = None,
    measurement: MeasurementSpec = MEASUREMENT,
    prices: Prices = NO_PRICES,
    **design: Any,
) -> SweepSpec:
    """A sweep; keywords that are none of its parts belong to [design]."""
    return SweepSpec(
        name="test",
        workload=WorkloadSpec(
            kind=kind,
            fixed=tuple(sorted(fixed.items())),
            factors=tuple((name, tuple(levels)) for name, levels in factors.items()),
            output=output or CommandOutput(),
        ),
        design=replace(DESIGN, **design),
        measurement=measurement,
        testbed=TestbedSpec(kind=TestbedKind.LOCAL),
        limits=Limits(max_failures=3, retries=2),
        prices=prices,
        mirror=None,
        source=Path("sweep.toml"),
        text="",
        spec_hash="0" * 16,
    )


def combination(**levels: Value) -> tuple[tuple[str, Value], ...]:
    """Names and values as `include` and `exclude` have them."""
    return tuple(sorted(levels.items()))


def contents(kind: Kind, parameters: Mapping[str, Value]) -> dict[str, str]:
    """What names stand for: a hash of the name."""
    names = [name for name in ("weights", "dataset") if name in parameters]
    return {f"{name}_sha256": hashlib.sha256(str(parameters[name]).encode()).hexdigest() for name in names}


def plan(spec: SweepSpec | None = None, *, replicate: str = "") -> Plan:
    """The plan of a sweep under the contents above."""
    return make_plan(spec or sweep(), replicate=replicate, contents=contents)


def grid(treatments: int, repetitions: int) -> tuple[Trial, ...]:
    """Trials of made-up treatments t0, t1, ... in planned order, without hashing anything."""
    made = [
        Treatment(kind=Kind.DETECTION, parameters={"batch_size": index}, treatment_id=f"t{index}")
        for index in range(treatments)
    ]
    return tuple(
        Trial(
            treatment=treatment,
            repetition=repetition,
            replicate="",
            trial_id=trial_id(treatment.treatment_id, "protocol", repetition, ""),
        )
        for repetition in range(1, repetitions + 1)
        for treatment in made
    )
