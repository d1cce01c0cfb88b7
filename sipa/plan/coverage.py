"""Does the stop rule keep its word? Simulated sweeps: how often the interval at the end holds the true mean.

A valid rule holds it at least as often as its confidence says; without the correction for many looks it
fails to.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from sipa.plan.stopping import critical_value, first_look, looks
from sipa.spec.model import StopRule


class Law(StrEnum):
    """How the values of a treatment scatter."""

    NORMAL = "normal"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the simulation found.

    Attributes:
        coverage: share of treatments whose interval at the end holds the true mean.
        standard_error: of `coverage`, from the finite number of simulated treatments.
        mean_repetitions: on average.
        narrow: share of treatments whose interval is as narrow as asked for.
    """

    coverage: float
    standard_error: float
    mean_repetitions: float
    narrow: float


def simulate_coverage(
    rule: StopRule,
    max_repetitions: int,
    *,
    law: Law,
    variation: float,
    treatments: int = 20_000,
    seed: int = 0,
    corrected: bool = True,
) -> Coverage:
    """Repeat treatments with a known mean of 1 until the rule stops them, and look at their intervals.

    Args:
        rule: the rule.
        max_repetitions: at the latest.
        law: how values scatter.
        variation: coefficient of variation of one value (standard deviation / mean).
        treatments: how many are simulated.
        seed: of the generator.
        corrected: False for the naive rule, which gives every look the whole error.

    Raises:
        ValueError: the rule never looks within so many repetitions.
    """
    share = looks(rule, max_repetitions)
    if share < 1:
        raise ValueError(f"no look within {max_repetitions} repetitions: the first is after {first_look(rule)}")
    values = _draw(law, variation, (treatments, max_repetitions), seed)
    n = np.arange(1, max_repetitions + 1)
    mean = np.cumsum(values, axis=1) / n
    squares = np.cumsum((values - 1.0) ** 2, axis=1) - n * (mean - 1.0) ** 2
    error = np.sqrt(np.maximum(squares, 0.0) / np.maximum(n - 1, 1) / n)
    quantile = np.array([critical_value(rule.confidence, share if corrected else 1, max(2, k)) for k in n.tolist()])
    half_width = quantile * error
    narrow = (half_width <= rule.half_width * np.abs(mean)) & (n >= first_look(rule))
    end = np.where(narrow.any(axis=1), narrow.argmax(axis=1), max_repetitions - 1)
    at_end = (np.arange(treatments), end)
    coverage = float(np.mean(np.abs(mean[at_end] - 1.0) <= half_width[at_end]))
    return Coverage(
        coverage=coverage,
        standard_error=math.sqrt(coverage * (1 - coverage) / treatments),
        mean_repetitions=float(np.mean(end + 1)),
        narrow=float(np.mean(narrow[at_end])),
    )


def _draw(law: Law, variation: float, shape: tuple[int, int], seed: int) -> NDArray[np.float64]:
    """Values with mean 1 and the given coefficient of variation."""
    generator = np.random.default_rng(seed)
    match law:
        case Law.NORMAL:
            return generator.normal(1.0, variation, shape)
        case Law.LOGNORMAL:
            sigma = math.sqrt(math.log1p(variation**2))
            return generator.lognormal(-(sigma**2) / 2, sigma, shape)
        case _:
            assert_never(law)
