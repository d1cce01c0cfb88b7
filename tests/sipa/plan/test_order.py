"""The order in which the trials of a repetition run."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from sipa.plan.order import blocks
from sipa.spec.model import Order
from sipa.trial import Treatment
from tests.sipa.plan.sweeps import DESIGN, grid

SEEDS = 3000


def treatments(count: int) -> list[Treatment]:
    return [trial.treatment for trial in grid(count, 1)]


def ids(block: object) -> list[str]:
    return [each.treatment_id for each in block]  # type: ignore[attr-defined]


@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 2**63), st.text(max_size=5))
def test_each_block_holds_each_treatment_once(count: int, repetitions: int, seed: int, label: str) -> None:
    design = replace(DESIGN, repetitions=repetitions, seed=seed)
    made = list(blocks(treatments(count), design, label))
    assert len(made) == repetitions
    assert all(sorted(ids(block)) == sorted(ids(treatments(count))) for block in made)
    assert [ids(block) for block in made] == [ids(block) for block in blocks(treatments(count), design, label)]


@given(st.integers(2, 30), st.data())
def test_a_treatment_more_or_another_file_order_leaves_the_others_in_order(count: int, data: st.DataObject) -> None:
    every = treatments(count)
    some = data.draw(st.permutations(every)).copy()[: data.draw(st.integers(1, count))]
    kept = set(ids(some))
    for whole, part in zip(blocks(every, DESIGN, ""), blocks(some, DESIGN, ""), strict=True):
        assert [each for each in ids(whole) if each in kept] == ids(part)


def test_as_listed_is_the_order_of_the_file_in_every_repetition() -> None:
    design = replace(DESIGN, order=Order.AS_LISTED)
    assert [ids(block) for block in blocks(treatments(7), design, "x")] == [ids(treatments(7))] * 3


def test_repetitions_replicates_and_seeds_are_randomised_apart() -> None:
    first = [tuple(ids(block)) for block in blocks(treatments(20), DESIGN, "")]
    again = [tuple(ids(block)) for block in blocks(treatments(20), DESIGN, "again")]
    other = [tuple(ids(block)) for block in blocks(treatments(20), replace(DESIGN, seed=1), "")]
    assert len({*first, *again, *other}) == 9


def orders(count: int) -> list[list[str]]:
    designs = (replace(DESIGN, seed=seed, repetitions=2) for seed in range(SEEDS))
    return [ids(block) for design in designs for block in blocks(treatments(count), design, "")]


def test_position_is_uniform() -> None:
    """Chi-square of every treatment's positions, 0.001 over all treatments together."""
    count = 8
    made = orders(count)
    expected = len(made) / count
    limit = chi2.ppf(1 - 0.001 / count, count - 1)
    for treatment in ids(treatments(count)):
        seen = Counter(order.index(treatment) for order in made)
        assert sum((seen[place] - expected) ** 2 / expected for place in range(count)) < limit


def test_every_order_is_equally_likely() -> None:
    """Stronger than uniform positions: a rotation of a fixed order would have those."""
    made = Counter(tuple(order) for order in orders(4))
    expected = sum(made.values()) / 24
    assert len(made) == 24
    assert sum((seen - expected) ** 2 / expected for seen in made.values()) < chi2.ppf(0.999, 23)
