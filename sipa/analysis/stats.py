"""Repetitions brought together: one summary a treatment, with mean, standard deviation and interval of each metric.

Rows that are not valid are counted and named but not averaged. Measured energies and estimates have columns of their
own in the rows, and so they have here.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sipa.analysis.intervals import Estimate, mean_interval
from sipa.analysis.quantities import is_number, quantities, work_unit
from sipa.columns import COLUMNS, NAMES
from sipa.errors import ResultsError, UsageError
from sipa.trial import canonical
from sipa.workloads import WORKLOADS, Value

DECIDED = frozenset(
    parameter.name
    for workload in WORKLOADS.values()
    for parameter in workload.parameters
    if parameter.default is None and not parameter.required
)
"""Parameters whose value the workload decides where the sweep file does not."""

Levels = Mapping[str, Sequence[Value]]
"""A spec's factors: name -> levels in the order of the file."""

_Intervals = Callable[[pd.DataFrame], dict[str, Estimate]]
_GROUP = ("sweep", "replicate", "treatment_id")
_NEEDED = frozenset({"trial_id", "treatment_id", "valid", "flags"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One treatment: what its repetitions say.

    Attributes:
        parameters: the varying ones, by name; None where the rows have no value.
        n: rows.
        n_valid: rows in which no number that was asked for is missing or impossible.
        metrics: column -> mean and interval, in the column's unit.
    """

    sweep: str
    replicate: str
    treatment_id: str
    parameters: Mapping[str, Value | None]
    n: int
    n_valid: int
    metrics: Mapping[str, Estimate]

    @property
    def label(self) -> str:
        """The varying parameters on one line, for people."""
        named = " ".join(f"{name}={value}" for name, value in self.parameters.items())
        return named or self.treatment_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSummary:
    """The treatments of one sweep or several.

    Attributes:
        confidence: of every interval.
        levels: the parameters that vary -> the values found, in order.
        fixed: parameters with one value in all rows.
        metrics: the columns that are summarised.
        work_unit: what one unit of work is called.
        treatments: in the order of the levels.
        n: rows.
        n_valid: rows that are averaged, unless `with_invalid`.
        with_invalid: whether rows that are not valid are averaged too, as the caller asked.
        doubts: why rows are not valid: name of the flag -> rows.
        remarks: flags of the rows that are averaged: name of the flag -> rows.
    """

    confidence: float
    levels: Mapping[str, tuple[Value | None, ...]]
    fixed: Mapping[str, Value]
    metrics: tuple[str, ...]
    work_unit: str
    treatments: tuple[Summary, ...]
    n: int
    n_valid: int
    with_invalid: bool
    doubts: Mapping[str, int]
    remarks: Mapping[str, int]

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the parameters that vary."""
        return tuple(self.levels)

    def frame(self) -> pd.DataFrame:
        """One row a treatment: its factors, n, and of every metric the mean and the ends of its interval."""
        from sipa.analysis.tables import frame

        return frame(self)

    def __repr__(self) -> str:
        return f"<SweepSummary of {self.n} rows, {len(self.treatments)} treatments: see .frame()>"


def summarize(
    trials: pd.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    levels: Levels | None = None,
    confidence: float = 0.95,
    with_invalid: bool = False,
) -> SweepSummary:
    """Bring the repetitions of each treatment together.

    A treatment of another sweep or replicate is kept apart.

    Args:
        trials: rows as `sipa.load` gives them.
        metrics: numeric columns; those of first interest if not given.
        levels: the spec's factors and the order of their levels; found from the rows if not given.
        confidence: of the intervals, between 0 and 1.
        with_invalid: average rows that are not valid too.

    Raises:
        ResultsError: no rows, not rows of ours, or rows that occur twice.
        UsageError: a metric that is no numeric column, or a confidence that is none.
    """
    check(trials)
    if not 0 < confidence < 1:
        raise UsageError(f"confidence: must lie between 0 and 1 (got {confidence}). Give 0.95 for 95 %.")
    factors = factor_columns(trials, levels)
    chosen = tuple(metrics) if metrics is not None else _of_interest(trials, factors)
    for metric in chosen:
        _check_metric(metric, trials)
    found = {name: _in_order(trials, name, (levels or {}).get(name, ())) for name in factors}
    varying = {name: values for name, values in found.items() if len(values) > 1}
    for name in implied(trials, varying, levels):
        del varying[name]

    def intervals(rows: pd.DataFrame) -> dict[str, Estimate]:
        return {metric: mean_interval(_numbers(rows[metric]), confidence) for metric in chosen}

    treatments = [
        _summary(key, rows, rows if with_invalid else rows[rows["valid"].astype(bool)], tuple(varying), intervals)
        for key, rows in by_treatment(trials)
    ]
    return SweepSummary(
        confidence=confidence,
        levels=varying,
        fixed={name: only for name, (only, *more) in found.items() if only is not None and not more},
        metrics=chosen,
        work_unit=work_unit(trials),
        treatments=tuple(sorted(treatments, key=lambda each: _place(each, varying))),
        n=len(trials),
        n_valid=int(trials["valid"].sum()),
        with_invalid=with_invalid,
        doubts=flag_counts(trials[~trials["valid"].astype(bool)]),
        remarks=flag_counts(_flagged(trials if with_invalid else trials[trials["valid"].astype(bool)])),
    )


def _flagged(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["flags"].map(len).astype(int) > 0]


def check(trials: pd.DataFrame) -> None:
    """Refuse what is not a frame of trials, each once.

    Raises:
        ResultsError: no rows, not rows of ours, or rows that occur twice.
    """
    missing = sorted(_NEEDED - set(trials.columns))
    if missing:
        raise ResultsError(f"not rows of trials: no column {', '.join(missing)}. Read them with sipa.load(folder).")
    if trials.empty:
        raise ResultsError("no rows to summarize. Run the sweep first.")
    twice = int(trials["trial_id"].duplicated().sum())
    if twice:
        raise ResultsError(f"{twice} rows occur twice (same trial_id). Load every sweep once, and not its export too.")


def by_treatment(trials: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Sweep, replicate and treatment_id, with the rows of each."""
    keys = [trials[name] if name in trials else pd.Series("", index=trials.index) for name in _GROUP]
    for key, rows in trials.groupby([each.fillna("").astype(str) for each in keys], sort=True):
        sweep, replicate, treatment = (str(part) for part in key)
        yield (sweep, replicate, treatment), rows


def factor_columns(trials: pd.DataFrame, levels: Levels | None = None) -> tuple[str, ...]:
    """The parameter columns of the rows, the sweep's own factors among them.

    A column of the sweep's own is a factor if the spec says so, if the command has it in braces, or if it is no number.
    """
    fixed = [column.name for column in COLUMNS if column.parameter and column.name in trials]
    named = set(levels or {}) | _in_braces(trials)
    own = [str(name) for name in trials.columns if name not in NAMES]
    free = [name for name in own if name in named or (levels is None and not is_number(trials[name]))]
    order = {name: place for place, name in enumerate(levels or {})}
    return tuple(sorted((*fixed, *free), key=lambda name: order.get(name, len(order))))


def implied(trials: pd.DataFrame, varying: Iterable[str], levels: Levels | None = None) -> tuple[str, ...]:
    """Varying parameters that are no factors: the workload decided them, each level of one factor having one value.

    So the input size of weights that were each trained at a size of their own.
    """
    chosen = [name for name in varying if name not in DECIDED or name in (levels or {})]
    left = [name for name in varying if name not in chosen]
    return tuple(
        name
        for name in left
        if any((trials.groupby(factor, dropna=False)[name].nunique(dropna=False) == 1).all() for factor in chosen)
    )


def values_of(trials: pd.DataFrame, name: str) -> tuple[Value | None, ...]:
    """The different values of a parameter in the rows, in the rows' order, None among them if one is missing."""
    return tuple(dict.fromkeys(as_value(each) for each in trials[name].tolist()))


def as_value(raw: object) -> Value | None:
    """A cell of a frame as a parameter's value: pandas makes integers floats where one is missing."""
    raw = raw.item() if isinstance(raw, np.generic) else raw
    if raw is None or raw is pd.NA or (isinstance(raw, float) and math.isnan(raw)):
        return None
    return canonical(raw if isinstance(raw, bool | int | float | str) else str(raw))


def flag_counts(trials: pd.DataFrame) -> dict[str, int]:
    """Rows that have each flag, by its name, the most frequent first; "no reason given" counts rows without one."""
    names = Counter(
        name
        for flags in trials["flags"]
        for name in ({str(flag).partition(":")[0].strip() for flag in _list(flags)} or {"no reason given"})
    )
    return dict(sorted(names.items(), key=lambda item: (-item[1], item[0])))


def _list(flags: Any) -> Sequence[object]:
    return [] if flags is None or isinstance(flags, float) else list(flags)


def _in_braces(trials: pd.DataFrame) -> set[str]:
    if "command" not in trials:
        return set()
    commands = trials["command"].dropna().unique()
    return {name for command in commands for name in re.findall(r"\{(\w+)\}", str(command))}


def _of_interest(trials: pd.DataFrame, factors: Sequence[str]) -> tuple[str, ...]:
    return tuple(each.column for each in quantities(trials, factors))


def _check_metric(metric: str, trials: pd.DataFrame) -> None:
    if metric in trials and (is_number(trials[metric]) or trials[metric].isna().all()):
        return
    numeric = [str(name) for name in trials.columns if is_number(trials[name])]
    near = difflib.get_close_matches(metric, numeric, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " COLUMNS.md lists the columns."
    raise UsageError(f"metric {metric!r}: not a numeric column of these rows.{hint}")


def _summary(
    key: tuple[str, str, str], rows: pd.DataFrame, used: pd.DataFrame, varying: Sequence[str], intervals: _Intervals
) -> Summary:
    sweep, replicate, treatment = key
    return Summary(
        sweep=sweep,
        replicate=replicate,
        treatment_id=treatment,
        parameters={name: as_value(rows[name].iloc[0]) for name in varying},
        n=len(rows),
        n_valid=int(rows["valid"].sum()),
        metrics=intervals(used),
    )


def _numbers(series: pd.Series) -> list[float]:
    return [float(value) for value in series.dropna()]


def _place(each: Summary, levels: Mapping[str, Sequence[Value | None]]) -> tuple[object, ...]:
    ranks = (levels[name].index(value) for name, value in each.parameters.items())
    return (each.sweep, each.replicate, *ranks, each.treatment_id)


def _in_order(trials: pd.DataFrame, name: str, listed: Sequence[Value]) -> tuple[Value | None, ...]:
    """The values found, in the order of the spec; those it does not list last, as people order them."""
    place: dict[Value | None, int] = {value: rank for rank, value in enumerate(map(canonical, listed))}
    return tuple(sorted(values_of(trials, name), key=lambda value: (place.get(value, len(place)), natural(value))))


def natural(value: Value | None) -> tuple[object, ...]:
    """A key that sorts numbers before texts, and digits inside texts by their value; None comes last."""
    if value is None:
        return (2,)
    if isinstance(value, bool | int | float):
        return (0, float(value))
    parts = re.split(r"(\d+)", value)
    return (1, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts), value)
