"""How long this host has been suspended since boot: one clock goes on meanwhile and the other stands still.

RAPL counters may be reset by a suspend, and the clock that times a window says nothing of it.
"""

import time
from collections.abc import Callable

_BLUR_NS = 2_000_000
_TRIES = 5


def boot_clock() -> int:
    """Nanoseconds since boot, time in suspend included (CLOCK_BOOTTIME, clock_gettime(2))."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def asleep_ns(clock: Callable[[], int], boot: Callable[[], int]) -> int:
    """Time in suspend since boot: too much by as long as it takes to read one clock after the other.

    A thread that loses its CPU between the two must not look like a suspend, so the best of a few tries counts.

    Args:
        clock: monotonic nanoseconds without time in suspend.
        boot: the same with it.
    """
    found_ns = []
    for _ in range(_TRIES):
        before, now, after = clock(), boot(), clock()
        found_ns.append(now - before)
        if after - before <= _BLUR_NS:
            break
    return min(found_ns)
