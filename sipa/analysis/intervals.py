"""The mean of a few repetitions and how far it can be trusted: Student's t.

One repetition has a mean and no interval: the spread of a single number is unknown, not zero.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

MOST_REPETITIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What n numbers say about their mean.

    Attributes:
        n: how many numbers there were; those that are missing or not finite do not count.
        mean: null for n = 0.
        sd: standard deviation of the sample (n - 1); null below two.
        low: lower end of the confidence interval of the mean; null below two.
        high: upper end; null below two.
    """

    n: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, in the unit of the mean."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def relative_half_width(self) -> float | None:
        """Half the width of the interval as a share of the mean; null where the mean is 0."""
        return self.half_width / abs(self.mean) if self.half_width is not None and self.mean else None


def student_t(n: int, confidence: float) -> float:
    """How many standard errors the two-sided interval of a mean of n reaches to each side (12.7 for n = 2)."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + confidence) / 2))


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Estimate:
    """Mean, standard deviation and interval; the order of the values does not matter, not even in the last bit.

    Args:
        values: repetitions of one quantity; NaN and infinities are left out.
        confidence: of the interval, between 0 and 1.
    """
    finite = sorted(float(value) for value in values if math.isfinite(value))
    n = len(finite)
    if n == 0:
        return Estimate(n=0)
    if finite[0] == finite[-1]:
        return _of_equal(finite[0], n)
    scale = max(abs(finite[0]), abs(finite[-1]))
    shares = [value / scale for value in finite]
    mean = math.fsum(shares) / n
    sd = math.sqrt(math.fsum((share - mean) ** 2 for share in shares) / (n - 1))
    reach = student_t(n, confidence) * sd / math.sqrt(n)
    return Estimate(
        n=n,
        mean=_finite(mean * scale),
        sd=_finite(sd * scale),
        low=_finite((mean - reach) * scale),
        high=_finite((mean + reach) * scale),
    )


def repetitions_needed(estimate: Estimate, half_width: float = 0.02, confidence: float = 0.95) -> int | None:
    """How many repetitions would give an interval of that half width, if the standard deviation stays as it is.

    Args:
        estimate: what is known so far.
        half_width: relative to the mean, e.g. 0.02.
        confidence: of the interval, between 0 and 1.

    Returns:
        At least 2; null where nothing can be said (one repetition, a mean of 0) or a thousand would not do.
    """
    if estimate.sd is None or not estimate.mean:
        return None
    ratio = estimate.sd / abs(estimate.mean)
    wanted = (
        n for n in range(2, MOST_REPETITIONS + 1) if student_t(n, confidence) * ratio <= half_width * math.sqrt(n)
    )
    return next(wanted, None)


def _of_equal(value: float, n: int) -> Estimate:
    if n == 1:
        return Estimate(n=1, mean=value)
    return Estimate(n=n, mean=value, sd=0.0, low=value, high=value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
