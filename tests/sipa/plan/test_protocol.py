"""Which settings of [measurement] make another way of measuring."""

from dataclasses import fields, replace
from typing import Any

import pytest

from sipa.plan.protocol import CHANGES_NO_NUMBER, protocol_id
from sipa.spec.model import Gates, MeasurementSpec, Meter, ModelWatts, Scope
from tests.sipa.plan.sweeps import MEASUREMENT, sweep

CHANGES: dict[str, Any] = {
    "meter": (Meter.PERF, Meter.POWERCAP),
    "idle_s": 61,
    "min_window_s": 10.5,
    "warmup_max_s": 30,
    "cooldown_within_c": 5,
    "cooldown_timeout_s": 0,
    "max_foreign_cores": 0.1,
    "gates": Gates.FLAG,
    "governor": None,
    "turbo": None,
    "scope": Scope.PROCESS,
}
WITH_MODEL = replace(MEASUREMENT, meter=(Meter.MODEL,), model=ModelWatts(idle_w=60, max_w=165))


def identity(measurement: MeasurementSpec = MEASUREMENT, **changes: Any) -> str:
    return protocol_id(sweep(measurement=replace(measurement, **changes)))


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_numbers_changes_the_protocol(name: str) -> None:
    assert identity(**{name: CHANGES[name]}) != identity()


def test_every_setting_is_judged() -> None:
    assert {field.name for field in fields(MeasurementSpec)} == {*CHANGES, *CHANGES_NO_NUMBER, "model"}


def test_the_deadline_the_control_and_the_spelling_of_a_number_change_nothing() -> None:
    assert identity(deadline_s=7200) == identity(control_s=0) == identity()
    assert identity(idle_s=60.0, min_window_s=10.0, cooldown_within_c=3.0) == identity()


def test_watts_count_where_the_model_is_named() -> None:
    assert identity(WITH_MODEL, model=ModelWatts(idle_w=61, max_w=165)) != identity(WITH_MODEL)
    assert identity(WITH_MODEL, model=ModelWatts(idle_w=60, max_w=166)) != identity(WITH_MODEL)
    assert identity(WITH_MODEL, model=ModelWatts(idle_w=60.0, max_w=165.0)) == identity(WITH_MODEL)
    assert identity(model=ModelWatts(idle_w=60, max_w=165)) == identity()
