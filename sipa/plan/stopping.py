"""When a treatment has been repeated often enough: its mean is known to the precision that was asked for.

Looking after each repetition and stopping at the first narrow interval favours intervals that are narrow by
luck. So each look uses a Student t interval with its share of the error, (1 - confidence) / looks
(Bonferroni): for normal data all intervals together hold with the confidence asked for, whatever makes one
stop.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from sipa.plan.observed import AnyRow, number
from sipa.plan.plan import Plan
from sipa.spec.model import StopRule
from sipa.trial import Trial


def looks(rule: StopRule, max_repetitions: int) -> int:
    """How often the rule may look at a treatment; 0 if it never does."""
    return max(0, max_repetitions - first_look(rule) + 1)


def first_look(rule: StopRule) -> int:
    """The repetition after which the rule looks first; one value has no interval."""
    return max(2, rule.min_repetitions)


@lru_cache(maxsize=4096)
def critical_value(confidence: float, share: int, values: int) -> float:
    """Student's t: half width of the interval in standard errors.

    Args:
        confidence: over all looks together, in (0, 1).
        share: over how many looks the error is divided.
        values: on which this interval rests, at least 2.
    """
    from scipy.special import stdtrit

    return float(stdtrit(values - 1, 1 - (1 - confidence) / (2 * share)))


def stopped_after(values: Sequence[float | None], rule: StopRule, max_repetitions: int) -> int | None:
    """After which repetition a treatment is known well enough, or None.

    A function of the values up to that repetition alone: later ones, which other nodes may already have
    measured, change nothing, so a replay decides alike. After a repetition without a value nothing is
    decided; at later looks the values that there are count, if they are enough for a first look.

    Args:
        values: the metric at repetition 1, 2, ... without a gap; None where the row has none.
        rule: the rule.
        max_repetitions: planned repetitions, which bound the number of looks.
    """
    share = looks(rule, max_repetitions)
    known: list[float] = []
    for repetition, value in enumerate(values[:max_repetitions], start=1):
        if value is None:
            continue
        known.append(value)
        if len(known) >= first_look(rule) and _narrow(known, rule, share):
            return repetition
    return None


def _narrow(values: Sequence[float], rule: StopRule, share: int) -> bool:
    n = len(values)
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half_width = critical_value(rule.confidence, share, n) * deviation / math.sqrt(n)
    return half_width <= rule.half_width * abs(mean)


def stopped(plan: Plan, rows: Iterable[AnyRow], rule: StopRule) -> dict[str, int]:
    """treatment_id -> the repetition after which it stopped, for those that did.

    Args:
        plan: the plan.
        rows: with `trial_id` and the rule's metric; `valid` if there is one. Rows of other plans are ignored.
        rule: the rule. A row that is not valid has no value for it.
    """
    values = {row["trial_id"]: _value(row, rule.metric) for row in rows if row["trial_id"] in plan.positions}
    series: dict[str, list[float | None]] = {}
    broken: set[str] = set()
    for trial in plan.trials:
        treatment = trial.treatment.treatment_id
        if trial.trial_id not in values:
            broken.add(treatment)
        elif treatment not in broken:
            series.setdefault(treatment, []).append(values[trial.trial_id])
    ends = {treatment: stopped_after(known, rule, plan.repetitions) for treatment, known in series.items()}
    return {treatment: end for treatment, end in ends.items() if end is not None}


def _value(row: AnyRow, metric: str) -> float | None:
    return None if row.get("valid") is False else number(row, metric)


def remaining(plan: Plan, rows: Iterable[AnyRow], rule: StopRule | None) -> tuple[Trial, ...]:
    """What is left to run, in planned order: planned, less committed, less stopped.

    Args:
        plan: the plan.
        rows: the committed rows; see `stopped`.
        rule: the stop rule, if the sweep has one.
    """
    known = list(rows)
    committed = {row["trial_id"] for row in known}
    ends = stopped(plan, known, rule) if rule is not None else {}
    return tuple(
        trial
        for trial in plan.trials
        if trial.trial_id not in committed
        and trial.repetition <= ends.get(trial.treatment.treatment_id, plan.repetitions)
    )
