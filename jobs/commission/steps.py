"""The steps of a commissioning in their order, and how much is left at any moment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from jobs.commission.lengths import Forecast, Lengths
from jobs.commission.verdict import Finding


class Step(StrEnum):
    """What a commissioning does, in this order: the idle node first, the hot one last."""

    FACTS = "facts"
    IDLE = "idle"
    LATENCY = "read latency"
    UPDATES = "counter updates"
    CONTROL = "control workload"
    STRESS = "stress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """It begins, and will take so long."""

    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """It is at a step.

    Attributes:
        fraction: share of the step that is over, 0 to 1; None if unknown.
        left_s: expected time until everything is done.
    """

    step: Step
    fraction: float | None
    detail: str
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A step is over, and says this."""

    step: Step
    findings: tuple[Finding, ...]


Event = Begun | At | Judged


def expected_s(lengths: Lengths, forecast: Forecast, counters: int) -> dict[Step, float]:
    """What each step will take."""
    return {
        Step.FACTS: 0.0,
        Step.IDLE: lengths.idle_s + lengths.compare_s,
        Step.LATENCY: 0.0,
        Step.UPDATES: lengths.spin_s * counters,
        Step.CONTROL: lengths.control_total_s,
        Step.STRESS: forecast.stress_s + lengths.compare_s,
    }


def left_s(expected: Mapping[Step, float], step: Step, fraction: float | None, spent_s: float) -> float:
    """Expected time until everything is done.

    Args:
        expected: what each step will take.
        step: the present one.
        fraction: of it; None if unknown.
        spent_s: in it so far: with a fraction it corrects the expectation.
    """
    later = list(Step)[list(Step).index(step) + 1 :]
    rest = max(0.0, expected[step] - spent_s)
    if fraction:
        # Early on the forecast is worth more than what is seen.
        seen_s = spent_s * (1 - fraction) / fraction
        rest = (1 - fraction) * rest + fraction * seen_s
    return rest + sum(expected[each] for each in later)
