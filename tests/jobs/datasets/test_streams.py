"""The random stream: published values, equal scalar and vector draws, ranges."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.streams import Stream, mix

KEYS = st.lists(st.integers(-(2**63), 2**63), min_size=1, max_size=4)


def test_mix_gives_the_published_splitmix64_sequence() -> None:
    # The reference sequence for seed 1234567 of the public C code by Sebastiano Vigna.
    gamma = 0x9E3779B97F4A7C15
    found = [mix(1234567 + step * gamma) for step in range(1, 6)]
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@settings(deadline=None)
@given(keys=KEYS, low=st.integers(-1000, 1000), span=st.integers(0, 2000), count=st.integers(1, 30))
def test_scalar_and_vector_draws_are_the_same(keys: list[int], low: int, span: int, count: int) -> None:
    one, many = Stream(*keys), Stream(*keys)
    expected = [one.integer(low, low + span) for _ in range(count)]
    found = many.integers(low, low + span, (count,))
    assert found.tolist() == expected
    assert one.integer(0, 10**6) == many.integer(0, 10**6)
    assert low <= min(expected)
    assert max(expected) <= low + span


@settings(deadline=None)
@given(keys=KEYS, count=st.integers(1, 40))
def test_octets_are_the_words_bytes_lowest_first(keys: list[int], count: int) -> None:
    expected = b"".join(int(word).to_bytes(8, "little") for word in Stream(*keys).words((count + 7) // 8))
    assert Stream(*keys).octets(count).tobytes() == expected[:count]


def test_keys_in_another_order_are_another_stream() -> None:
    assert not np.array_equal(Stream(1, 2).words(4), Stream(2, 1).words(4))
