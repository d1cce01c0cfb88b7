"""In which order trials run: repetition by repetition, each a block that holds every treatment once.

The place in a block comes from a keyed hash of the treatment alone, so a level more in the file leaves the
order of all others as it was.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import assert_never

from sipa.spec.model import DesignSpec, Order
from sipa.trial import Treatment, digest


def blocks(treatments: Sequence[Treatment], design: DesignSpec, replicate: str) -> Iterator[Sequence[Treatment]]:
    """The treatments of repetition 1, 2, ... in the order in which they run.

    A replicate is randomised anew, so that an effect of position cannot repeat itself in it.

    Args:
        treatments: in the order of the file.
        design: repetitions, order and seed.
        replicate: label of a sweep measured anew; "" for the first.
    """
    for repetition in range(1, design.repetitions + 1):
        match design.order:
            case Order.RANDOMISED_BLOCKS:
                yield _shuffled(treatments, digest([design.seed, replicate, repetition]))
            case Order.AS_LISTED:
                yield treatments
            case _:
                assert_never(design.order)


def _shuffled(treatments: Sequence[Treatment], key: str) -> list[Treatment]:
    secret = key.encode()

    def place(treatment: Treatment) -> bytes:
        return blake2b(treatment.treatment_id.encode(), key=secret, digest_size=16).digest()

    return sorted(treatments, key=place)
