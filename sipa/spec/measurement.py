"""`[measurement]`, `[design] stop` and `[prices]`: what must agree with other keys."""

from sipa.columns import NUMERIC_NAMES, PARAMETER_NAMES
from sipa.spec.combinations import Combinations
from sipa.spec.document import Design, Measurement, PricesSection
from sipa.spec.messages import Problems, did_you_mean, got
from sipa.spec.model import (
    CommandOutput,
    DesignSpec,
    MeasurementSpec,
    Meter,
    ModelWatts,
    StopRule,
)
from sipa.spec.sections import Reading
from sipa.workloads import WORKLOADS, Kind, ValueType

_BOOKKEEPING = {
    "repetition",
    "attempt",
    "planned_position",
    "position",
    "mono_begin_ns",
    "mono_end_ns",
    "schema_version",
    "model_idle_w",
    "model_max_w",
}
_NUMERIC = {ValueType.INTEGER, ValueType.NUMBER}


def check_measurement(reading: Reading[Measurement], problems: Problems) -> None:
    """Note meters that stand twice, constants without a model or a model without, and a deadline that is too short."""
    section = reading.section
    if section is None:
        return
    if reading.vouches("meter"):
        _check_meters(section.meter, problems)
    if reading.vouches("meter", "model"):
        _check_model(section, problems)
    if reading.vouches("deadline_s", "min_window_s") and section.deadline_s <= section.min_window_s:
        rule = f"must be greater than min_window_s = {section.min_window_s:g}{got(section.deadline_s)}"
        problems.add(("measurement", "deadline_s"), f"{rule}: every trial would be killed")


def _check_meters(meters: tuple[Meter, ...], problems: Problems) -> None:
    for index, meter in enumerate(meters):
        if (first := meters.index(meter)) != index:
            problems.add(("measurement", "meter", index), f"'{meter}' is in the list already: [{first}]")


def _check_model(section: Measurement, problems: Problems) -> None:
    path = ("measurement", "model")
    model = section.model
    if Meter.MODEL in section.meter and model is None:
        cure = "write [measurement.model] with idle_w and max_w, the watts of the idle and of the busy machine"
        problems.add(path, f"missing: meter names 'model'; {cure}")
    if Meter.MODEL not in section.meter and model is not None:
        problems.add(path, "is not used: meter does not name 'model'")
    if model and model.max_w < model.idle_w:
        problems.add((*path, "max_w"), f"must be at least idle_w = {model.idle_w:g}{got(model.max_w)}")


def check_stop(
    stop: object, design: Reading[Design], numbers: frozenset[str], meters: tuple[Meter, ...] | None, problems: Problems
) -> None:
    """Note a stopping rule that could never decide.

    Args:
        stop: the rule as it stands in the file.
        design: the section that it stands in.
        numbers: the numeric columns that rows of this sweep may have.
        meters: what is measured with; None if that is not known.
        problems: where everything wrong is noted.
    """
    path = ("design", "stop")
    metric = stop.get("metric") if isinstance(stop, dict) else None
    if isinstance(metric, str) and metric not in numbers:
        rule = f"must be a numeric column of the results{got(metric)}"
        problems.add((*path, "metric"), rule + did_you_mean(metric, numbers))
    elif isinstance(metric, str) and meters is not None and (reason := _never_filled(metric, meters)):
        problems.add((*path, "metric"), reason)
    if design.section and design.section.stop and design.vouches("stop", "repetitions"):
        least, most = design.section.stop.min_repetitions, design.section.repetitions
        if least > most:
            problems.add((*path, "min_repetitions"), f"must be at most repetitions = {most}{got(least)}")


def numeric_columns(kind: Kind, output: CommandOutput) -> frozenset[str]:
    """The numeric findings that rows of this kind may have."""
    others = {each.name for other in WORKLOADS.values() if other.kind is not kind for each in other.results}
    own = {name for name, type_ in output.metrics if type_ in _NUMERIC}
    return NUMERIC_NAMES - PARAMETER_NAMES - others - _BOOKKEEPING | own


def _never_filled(metric: str, meters: tuple[Meter, ...]) -> str | None:
    """Why a column is null in every row of a sweep with these meters, or None."""
    if metric.startswith(("energy_estimated", "power_estimated")):
        return None if Meter.MODEL in meters else f"{metric} is always null: meter does not name 'model'"
    measured = metric.startswith(("energy_", "power_", "control_energy"))
    if measured and not {Meter.POWERCAP, Meter.PERF} & set(meters):
        return f"{metric} is always null: meter names no counter ('powercap' or 'perf')"
    return None


def check_prices(reading: Reading[PricesSection], problems: Problems) -> None:
    """Note prices without a currency."""
    section = reading.section
    if section is None or section.currency or not reading.vouches("currency"):
        return
    if section.electricity_per_kwh is not None or section.node_hour is not None:
        problems.add(("prices", "currency"), "missing: prices need one, such as currency = 'EUR'")


def design_spec(section: Design, combinations: Combinations) -> DesignSpec:
    """`[design]` as a value."""
    return DesignSpec(
        repetitions=section.repetitions,
        order=section.order,
        seed=section.seed,
        random_points=combinations.random_points,
        include=combinations.include,
        exclude=combinations.exclude,
        stop=StopRule(**section.stop.model_dump()) if section.stop else None,
    )


def measurement_spec(section: Measurement) -> MeasurementSpec:
    """`[measurement]` as a value."""
    values = section.model_dump(exclude={"model"})
    return MeasurementSpec(model=ModelWatts(**section.model.model_dump()) if section.model else None, **values)
