"""A counter-based random stream on 64-bit integers (splitmix64).

Own and small because a data set whose digest is a constant cannot depend on the generator, the version or the
byte order of a numerical library.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def mix(value: int) -> int:
    """Return the splitmix64 finaliser of one 64-bit integer (Steele, Lea, Flood 2014)."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


class Stream:
    """Reproducible draws; two streams with different keys are independent for all practical purposes.

    Args:
        keys: what the stream belongs to, e.g. (seed, split, image); any integers.
    """

    def __init__(self, *keys: int) -> None:
        state = 0
        for key in keys:
            state = mix(state + _GAMMA + (key & _MASK))
        self._key = state
        self._count = 0

    def integer(self, low: int, high: int) -> int:
        """Return one integer of low..high, both included."""
        self._count += 1
        word = mix(self._key + self._count * _GAMMA)
        return low + (((word >> 32) * (high - low + 1)) >> 32)

    def choice(self, options: Sequence[int]) -> int:
        """Return one of the options, each equally likely."""
        return options[self.integer(0, len(options) - 1)]

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return `count` 64-bit words."""
        index = np.arange(self._count + 1, self._count + 1 + count, dtype=np.uint64)
        self._count += count
        value = np.uint64(self._key) + index * np.uint64(_GAMMA)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
        return np.asarray(value ^ (value >> np.uint64(31)), dtype=np.uint64)

    def octets(self, count: int) -> NDArray[np.uint8]:
        """Return `count` bytes, 0..255, the same on machines of either byte order."""
        return self.words((count + 7) // 8).astype("<u8").view(np.uint8)[:count]

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return integers of low..high, both included, in the given shape."""
        count = int(np.prod(shape))
        span = np.uint64(high - low + 1)
        drawn = ((self.words(count) >> np.uint64(32)) * span) >> np.uint64(32)
        return drawn.astype(np.int64).reshape(shape) + low
