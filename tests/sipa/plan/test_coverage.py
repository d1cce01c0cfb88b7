"""The stop rule keeps its word: simulated coverage under stopping, and that the naive rule does not.

Run with `-s` for the table.
"""

import sys

import numpy as np
import pytest

from sipa.plan import stopped_after
from sipa.plan.coverage import Coverage, Law, simulate_coverage
from sipa.spec.model import StopRule

VARIATIONS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
MAXIMA = (5, 10, 20)
RULE = StopRule(metric="energy_per_image_j", half_width=0.02, min_repetitions=4, confidence=0.95)


def simulate(maximum: int, variation: float, law: Law = Law.NORMAL, *, corrected: bool = True) -> Coverage:
    return simulate_coverage(RULE, maximum, law=law, variation=variation, corrected=corrected, seed=11)


@pytest.mark.parametrize("maximum", MAXIMA)
@pytest.mark.parametrize("variation", VARIATIONS)
def test_normal_data_are_covered_at_least_as_often_as_asked_for(maximum: int, variation: float) -> None:
    found = simulate(maximum, variation)
    assert found.coverage >= RULE.confidence - 3 * found.standard_error


def test_the_naive_rule_covers_less_than_it_says() -> None:
    found = simulate(20, 0.03, corrected=False)
    assert found.coverage < RULE.confidence - 10 * found.standard_error


@pytest.mark.parametrize("variation", VARIATIONS)
def test_moderately_skewed_data_are_covered(variation: float) -> None:
    found = simulate(10, variation, Law.LOGNORMAL)
    assert found.coverage >= RULE.confidence - 3 * found.standard_error


def test_strongly_skewed_data_are_not_and_that_is_a_limit_of_validity() -> None:
    loose = StopRule(metric="x", half_width=0.3, min_repetitions=4)
    found = simulate_coverage(loose, 20, law=Law.LOGNORMAL, variation=1.5, seed=11)
    assert found.coverage < 0.95


def test_noisier_treatments_are_repeated_more_often() -> None:
    means = [simulate(20, variation).mean_repetitions for variation in VARIATIONS]
    assert means == sorted(means)
    assert means[0] < 4.6
    assert means[-1] > 19


def test_the_simulation_stops_where_the_rule_does() -> None:
    """Vectorised and one by one, on the same draws."""
    values = np.random.default_rng(5).normal(1.0, 0.03, (300, 12))
    ends = [stopped_after(row.tolist(), RULE, 12) or 12 for row in values]
    found = simulate_coverage(RULE, 12, law=Law.NORMAL, variation=0.03, treatments=300, seed=5)
    assert found.mean_repetitions == pytest.approx(np.mean(ends))


def test_a_rule_that_never_looks_is_refused() -> None:
    with pytest.raises(ValueError, match="first is after 4"):
        simulate_coverage(RULE, 3, law=Law.NORMAL, variation=0.1)


def test_table_of_figures() -> None:
    lines = ["law        max  CV      coverage  naive   repetitions  naive  narrow"]
    for law in Law:
        for maximum in MAXIMA:
            for variation in VARIATIONS:
                ours = simulate(maximum, variation, law)
                naive = simulate(maximum, variation, law, corrected=False)
                lines.append(
                    f"{law:<10} {maximum:>3}  {variation:<6}  {ours.coverage:.4f}    {naive.coverage:.4f}  "
                    f"{ours.mean_repetitions:>8.2f}     {naive.mean_repetitions:>5.2f}  {ours.narrow:.2f}"
                )
    sys.stdout.write("\n".join(["", *lines, ""]))
    assert len(lines) == 1 + 2 * len(MAXIMA) * len(VARIATIONS)
