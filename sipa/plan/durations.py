"""How long one trial of each treatment takes: from its own rows, else from its neighbours, else assumed.

A median is taken, because one trial that hung must not move the forecast. Spreads are relative, because the
trials of a slow treatment differ by more seconds than those of a fast one.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from sipa.plan.observed import AnyRow, trial_seconds
from sipa.spec.model import MeasurementSpec, Meter

ASSUMED_OVERHEAD_S = 15.0
"""Assumed for starting a process, loading, warming up and scoring while no trial of the sweep has run yet.

Five of them are the time for which the warm-up watches the temperature.
"""


class Basis(StrEnum):
    """Where a forecast comes from."""

    OWN_ROWS = "own rows"
    OTHER_TREATMENTS = "other treatments"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """The forecast of one trial of a treatment.

    Attributes:
        seconds: cool-down, idle window and process.
        basis: where it comes from.
        rows: how many earlier rows of the treatment it rests on.
    """

    seconds: float
    basis: Basis
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """The forecasts of all treatments.

    Attributes:
        by_treatment: treatment_id -> forecast.
        noise: relative standard deviation between trials of one treatment; None when none was repeated.
        spread: relative standard deviation between treatments; None when fewer than two were seen.
        assumptions: what was assumed, in words.
    """

    by_treatment: Mapping[str, Duration]
    noise: float | None
    spread: float | None
    assumptions: tuple[str, ...]

    def seconds(self) -> dict[str, float]:
        """treatment_id -> seconds of one trial, as `assign` wants them."""
        return {treatment: each.seconds for treatment, each in self.by_treatment.items()}


def durations(treatment_ids: Iterable[str], measurement: MeasurementSpec, rows: Iterable[AnyRow] = ()) -> Durations:
    """Forecast one trial of each treatment.

    Args:
        treatment_ids: the sweep's treatments.
        measurement: used where nothing was observed.
        rows: earlier rows, with `treatment_id` and what `trial_seconds` reads.
    """
    wanted = list(treatment_ids)
    seen = _observed(set(wanted), measurement, rows)
    medians = {treatment: median(found) for treatment, found in seen.items()}
    guess, basis, assumptions = _guess(medians, measurement, missing=len(medians) < len(wanted))
    return Durations(
        by_treatment={
            treatment: Duration(seconds=medians[treatment], basis=Basis.OWN_ROWS, rows=len(seen[treatment]))
            if treatment in medians
            else Duration(seconds=guess, basis=basis, rows=0)
            for treatment in wanted
        },
        noise=_pooled([_relative(found) for found in seen.values() if len(found) > 1]),
        spread=_pooled([_relative(list(medians.values()))] if len(medians) > 1 else []),
        assumptions=assumptions,
    )


def _observed(wanted: Collection[str], measurement: MeasurementSpec, rows: Iterable[AnyRow]) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {}
    for row in rows:
        treatment = str(row.get("treatment_id"))
        seconds = trial_seconds(row, measurement.idle_s)
        if treatment in wanted and seconds is not None:
            seen.setdefault(treatment, []).append(seconds)
    return seen


def _guess(
    medians: Mapping[str, float], measurement: MeasurementSpec, *, missing: bool
) -> tuple[float, Basis, tuple[str, ...]]:
    """The forecast of a treatment without rows."""
    if medians:
        words = ("a treatment that has not run yet is assumed to take as long as the median of those that have",)
        return median(medians.values()), Basis.OTHER_TREATMENTS, words if missing else ()
    seconds = measurement.idle_s + measurement.min_window_s + ASSUMED_OVERHEAD_S
    assumption = (
        f"nothing has run yet: each trial is assumed to take the idle window ({measurement.idle_s:g} s), the "
        f"shortest window ({measurement.min_window_s:g} s) and {ASSUMED_OVERHEAD_S:g} s to start, load, "
        "warm up and score"
    )
    return seconds, Basis.ASSUMED, (assumption, *_besides(measurement)) if missing else ()


def _besides(measurement: MeasurementSpec) -> Iterator[str]:
    """What takes time too and cannot be known before the first trial."""
    if measurement.cooldown_timeout_s > 0:
        yield (
            f"no wait for the node to cool down; it may take up to {measurement.cooldown_timeout_s:g} s a trial where "
            "the temperature can be read"
        )
    if measurement.control_s > 0 and {Meter.POWERCAP, Meter.PERF} & set(measurement.meter):
        yield (
            f"no control workload; where energy is measured it takes about {measurement.control_s:g} s at the start, "
            "between two repetitions and at the end"
        )


def _relative(values: Collection[float]) -> list[float]:
    """Each value's relative deviation from the median."""
    middle = median(values)
    return [value / middle - 1 for value in values] if middle > 0 else []


def _pooled(groups: Collection[Collection[float]]) -> float | None:
    """Standard deviation within groups, one degree of freedom a group spent on its middle."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom < 1:
        return None
    return math.sqrt(sum(value**2 for group in groups for value in group) / freedom)
