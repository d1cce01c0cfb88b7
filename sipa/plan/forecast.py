"""What is left of a sweep will take: time on each node, energy, money and service units.

A number that cannot be known is None with the reason. The interval of the time comes from the spread that was
observed, not from a guess: a sweep of which nothing has run has none.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sipa.plan.assign import Assignment
from sipa.plan.durations import Basis, Durations
from sipa.plan.observed import ENERGY_COLUMNS, AnyRow, energy_column, number
from sipa.spec.model import Prices
from sipa.trial import Trial

_Z_95 = 1.96
_J_PER_KWH = 3.6e6
_S_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number, or None, and what it covers, or why there is none."""

    value: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the trials that are left will take.

    Attributes:
        trials: how many are left.
        busy_s: node time of all trials together.
        node_s: node -> time until its queue is empty.
        wall_s: time until the last node has finished.
        wall_interval_s: 95 % prediction interval of `wall_s`; None without an observed spread.
        energy_j: of the trials that are left.
        cost: in `currency`.
        service_units: of the testbed.
        assumptions: what was assumed, in words.
    """

    trials: int
    busy_s: float
    node_s: Mapping[str, float]
    wall_s: float
    wall_interval_s: tuple[float, float] | None
    energy_j: Amount
    cost: Amount
    currency: str | None
    service_units: Amount
    assumptions: tuple[str, ...]


def forecast(assignment: Assignment, durations: Durations, prices: Prices, rows: Iterable[AnyRow] = ()) -> Forecast:
    """Forecast what an assignment will take.

    Args:
        assignment: what is left, by node.
        durations: of one trial of each treatment of it.
        prices: for cost and service units.
        rows: earlier rows of the sweep; their measured energies are used, estimates never.
    """
    seconds = durations.seconds()
    left = [trial for queue in assignment.queues.values() for trial in queue]
    node_s = {
        node: math.fsum(seconds[trial.treatment.treatment_id] for trial in queue)
        for node, queue in assignment.queues.items()
    }
    wall_s = max(node_s.values(), default=0.0)
    energy_j = _energy(left, list(rows))
    node_hours = wall_s * len(node_s) / _S_PER_HOUR
    return Forecast(
        trials=len(left),
        busy_s=math.fsum(node_s.values()),
        node_s=node_s,
        wall_s=wall_s,
        wall_interval_s=_interval(assignment.queues.values(), durations),
        energy_j=energy_j,
        cost=_cost(prices, energy_j, node_hours),
        currency=prices.currency,
        service_units=_service_units(prices, node_hours),
        assumptions=durations.assumptions,
    )


def _interval(queues: Iterable[Sequence[Trial]], durations: Durations) -> tuple[float, float] | None:
    """The latest of the nodes' lower ends and the latest of their upper ends."""
    ends = [_node_interval(queue, durations) for queue in queues if queue]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return None
    return max(low for low, _ in known), max(high for _, high in known)


def _node_interval(queue: Sequence[Trial], durations: Durations) -> tuple[float, float] | None:
    """Normal approximation: each trial scatters, and each median is itself uncertain by 1 / its rows.

    Where no treatment was repeated, the spread between treatments, which is wider, stands for the scatter.
    """
    noise = durations.spread if durations.noise is None else durations.noise
    counts = Counter(trial.treatment.treatment_id for trial in queue)
    total = variance = 0.0
    for treatment, trials in counts.items():
        each = durations.by_treatment[treatment]
        if noise is None or (each.basis is not Basis.OWN_ROWS and durations.spread is None):
            return None
        level = noise**2 / each.rows if each.rows else (durations.spread or 0.0) ** 2
        variance += each.seconds**2 * (trials * noise**2 + trials**2 * level)
        total += trials * each.seconds
    margin = _Z_95 * math.sqrt(variance)
    return max(0.0, total - margin), total + margin


def _energy(left: Sequence[Trial], rows: Sequence[AnyRow]) -> Amount:
    column = energy_column(rows)
    if column is None:
        return Amount(value=None, reason="no earlier row has a measured energy (estimates are not used)")
    seen: dict[str, list[float]] = {}
    for row in rows:
        value = number(row, column)
        if value is not None:
            seen.setdefault(str(row.get("treatment_id")), []).append(value)
    medians = {treatment: median(values) for treatment, values in seen.items()}
    other = median(medians.values())
    value = math.fsum(medians.get(trial.treatment.treatment_id, other) for trial in left)
    return Amount(value=value, reason=ENERGY_COLUMNS[column])


def _cost(prices: Prices, energy_j: Amount, node_hours: float) -> Amount:
    if prices.node_hour is None and prices.electricity_per_kwh is None:
        return Amount(value=None, reason="the sweep file has no [prices]")
    cost, parts = 0.0, []
    if prices.node_hour is not None:
        cost += prices.node_hour * node_hours
        parts.append("hours of all measuring nodes until the last has finished")
    if prices.electricity_per_kwh is not None:
        if energy_j.value is None:
            return Amount(value=None, reason=f"electricity has a price, but its amount is not known: {energy_j.reason}")
        cost += prices.electricity_per_kwh * energy_j.value / _J_PER_KWH
        parts.append(f"electricity of {energy_j.reason}")
    return Amount(value=cost, reason="; ".join(parts))


def _service_units(prices: Prices, node_hours: float) -> Amount:
    if prices.su_per_node_hour is None:
        return Amount(value=None, reason="the sweep file has no prices.su_per_node_hour")
    reason = "hours of all measuring nodes until the last has finished; a lease is charged for its whole length"
    return Amount(value=prices.su_per_node_hour * node_hours, reason=reason)
