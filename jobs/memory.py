"""Peak memory of a trial. `ru_maxrss` alone lies: exec(2) hands a process the peak of whoever started it."""

import resource
from contextlib import suppress
from pathlib import Path


def own_peak_bytes() -> float | None:
    """Largest resident set of this process since its own exec; None where /proc does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    return None


def children_peak_bytes() -> float | None:
    """Largest resident set of any child that was waited for; None if this process was larger, which hides it."""
    peak = float(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
    own = own_peak_bytes()
    return peak if own is not None and peak > own else None
