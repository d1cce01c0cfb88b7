"""When a machine has warmed up: neither the time of a batch nor the temperature of the packages changes any more.

A temperature is shown in whole degrees and jumps by one, so what counts is the straight line through its samples.
Where there is no temperature to read, times alone decide and nothing is waited for.
"""

from collections.abc import Sequence
from statistics import linear_regression, median

TIMES_WITHIN = 0.05
"""Times are steady when the median of the last few is within this share of that of the few before."""

FEW = 3
"""So many batches, or as many as take `SPAN_S` where fewer do: a batch of a large network takes half a minute."""

CHANGE_K = 1.0
SPAN_S = 5.0
"""The temperature is steady when it changes by at most so many kelvin in at least so many seconds."""

SAMPLE_S = 0.5
"""Pause between two samples of the temperature: a read costs more than the shortest batch."""

LEAST_S = 0.3
"""No warm-up is shorter."""

Sample = tuple[float, float]
"""Seconds since the warm-up began, and degrees Celsius."""


class WarmUp:
    """Collects what was seen and says when to stop.

    Args:
        max_s: when to stop though nothing is steady (`measurement.warmup_max_s`).
    """

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self._times: list[float] = []
        self._samples: list[Sample] = []
        self._sampled_s: float | None = None

    def batch(self, seconds: float) -> None:
        """A batch took so long."""
        self._times.append(seconds)

    def due(self, at_s: float) -> bool:
        """Whether the temperature should be read now."""
        return self._sampled_s is None or at_s - self._sampled_s >= SAMPLE_S

    def sample(self, at_s: float, temperature_c: float | None) -> None:
        """The temperature at a time; None where it cannot be read."""
        self._sampled_s = at_s
        if temperature_c is not None:
            self._samples.append((at_s, temperature_c))

    def over(self, at_s: float) -> bool:
        """Whether the warm-up ends now."""
        return at_s >= self._max_s or (at_s >= LEAST_S and self.unsteady() is None)

    def unsteady(self) -> str | None:
        """What still changes, in words; None if nothing does."""
        parts = [_unsteady_times(self._times), _unsteady_temperature(self._samples)]
        found = [each for each in parts if each]
        return f"{' and '.join(found)} after {self._max_s:g} s (measurement.warmup_max_s)" if found else None


def times_change(times: Sequence[float]) -> float | None:
    """By what share the median of the last few times differs from that of the few before; None with fewer batches.

    Args:
        times: of every batch so far, in seconds.
    """
    size = _few(times)
    earlier = times[: len(times) - size]
    few = _few(earlier)
    if not (size and few):
        return None
    after, before = median(times[-size:]), median(earlier[-few:])
    return abs(after - before) / max(before, after) if after != before else 0.0


def _few(times: Sequence[float]) -> int:
    """How many of the latest times are enough to be compared; 0 if there are not enough."""
    length = 0.0
    for count, seconds in enumerate(reversed(times), start=1):
        length += seconds
        if count == FEW or length >= SPAN_S:
            return count
    return 0


def temperature_change(samples: Sequence[Sample]) -> float | None:
    """Kelvin by which the line through the latest samples rises or falls over their length.

    Args:
        samples: in order of time; those of the last `SPAN_S`, or little more, are used.

    Returns:
        At least 0; None while the samples span less than `SPAN_S`.
    """
    newest = samples[-1][0] if samples else 0.0
    old = [place for place, (at_s, _) in enumerate(samples) if newest - at_s >= SPAN_S]
    if not old:
        return None
    latest = samples[old[-1] :]
    line = linear_regression([at_s for at_s, _ in latest], [temperature_c for _, temperature_c in latest])
    return abs(line.slope) * (newest - latest[0][0])


def _unsteady_times(times: Sequence[float]) -> str | None:
    change = times_change(times)
    if change is None:
        return f"there were too few batches ({len(times)})"
    return f"batch times still changed by {change:.0%}" if change > TIMES_WITHIN else None


def _unsteady_temperature(samples: Sequence[Sample]) -> str | None:
    if not samples:
        return None
    change = temperature_change(samples)
    if change is None:
        return f"the temperature was watched for less than {SPAN_S:g} s"
    return f"the temperature still changed by {change:.1f} K" if change > CHANGE_K else None
