"""Power over time as a formula, so that the energy of any window is known to whoever knows the formula.

Energy is the integral in closed form: it does not depend on when, how often or how late anybody looks. Watts times
nanoseconds are nanojoules.

    parse("165")                     constant
    parse("square:40:165:2.5")       low and high watts, half of a period of 2.5 s each
    parse("sine:100:60:7")           mean and amplitude in watts, period in seconds
    parse("steps:0=50,10=165")       from these seconds on these watts
    parse("sine:60:40:7+steps:0=0,10=90")
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Power(Protocol):
    """Watts as a function of time since the epoch."""

    @property
    def max_w(self) -> float:
        """It never exceeds this."""

    def energy_nj(self, age_ns: int) -> float:
        """Energy since the epoch."""


@dataclass(frozen=True, slots=True)
class Constant:
    power_w: float

    @property
    def max_w(self) -> float:
        return self.power_w

    def energy_nj(self, age_ns: int) -> float:
        return self.power_w * age_ns


@dataclass(frozen=True, slots=True)
class Square:
    low_w: float
    high_w: float
    period_s: float

    @property
    def max_w(self) -> float:
        return max(self.low_w, self.high_w)

    def energy_nj(self, age_ns: int) -> float:
        half_ns = round(self.period_s * 5e8)
        periods, rest_ns = divmod(age_ns, 2 * half_ns)
        high_ns = periods * half_ns + max(0, rest_ns - half_ns)
        return self.low_w * (age_ns - high_ns) + self.high_w * high_ns


@dataclass(frozen=True, slots=True)
class Sine:
    mean_w: float
    amplitude_w: float
    period_s: float

    @property
    def max_w(self) -> float:
        return self.mean_w + abs(self.amplitude_w)

    def energy_nj(self, age_ns: int) -> float:
        turn_ns = self.period_s * 1e9 / math.tau
        return self.mean_w * age_ns + self.amplitude_w * turn_ns * (1 - math.cos(age_ns / turn_ns))


@dataclass(frozen=True, slots=True)
class Steps:
    points: tuple[tuple[float, float], ...]
    """Seconds since the epoch, watts from then on; the first is at 0."""

    @property
    def max_w(self) -> float:
        return max(power_w for _, power_w in self.points)

    def energy_nj(self, age_ns: int) -> float:
        ends_ns = [round(at_s * 1e9) for at_s, _ in self.points[1:]] + [age_ns]
        begin_ns, energy_nj = 0, 0.0
        for (_, power_w), end_ns in zip(self.points, ends_ns, strict=True):
            until_ns = min(end_ns, age_ns)
            energy_nj += power_w * max(0, until_ns - begin_ns)
            begin_ns = until_ns
        return energy_nj


@dataclass(frozen=True, slots=True)
class Sum:
    parts: tuple[Power, ...]

    @property
    def max_w(self) -> float:
        return sum(part.max_w for part in self.parts)

    def energy_nj(self, age_ns: int) -> float:
        return sum(part.energy_nj(age_ns) for part in self.parts)


def parse(text: str) -> Power:
    """A power curve from its text.

    Raises:
        ValueError: it is none, or it could be negative.
    """
    parts = [_one(part) for part in text.split("+")]
    if any(power_w < 0 for part in parts for power_w in _extremes_w(part)):
        raise ValueError(f"{text!r}: power below zero: a counter never goes back")
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def age_of_energy(power: Power, energy_nj: float, until_ns: int) -> int:
    """When the energy since the epoch reaches a value, to the nanosecond; `until_ns` if not before."""
    low_ns, high_ns = 0, until_ns
    while low_ns < high_ns:
        middle_ns = (low_ns + high_ns) // 2
        if power.energy_nj(middle_ns) >= energy_nj:
            high_ns = middle_ns
        else:
            low_ns = middle_ns + 1
    return low_ns


def _one(text: str) -> Power:
    kind, _, numbers = text.partition(":")
    if not numbers:
        return Constant(float(kind))
    if kind == "steps":
        return _steps(numbers)
    makers: dict[str, Callable[[float, float, float], Power]] = {"square": Square, "sine": Sine}
    if kind not in makers:
        raise ValueError(f"{text!r}: no such power curve")
    first, second, period_s = map(float, numbers.split(":"))
    return makers[kind](first, second, period_s)


def _steps(numbers: str) -> Steps:
    points = [tuple(map(float, point.split("="))) for point in numbers.split(",")]
    if points[0][0] != 0 or points != sorted(points, key=lambda point: point[0]):
        raise ValueError(f"{numbers!r}: steps begin at 0 and follow in time")
    return Steps(tuple((at_s, power_w) for at_s, power_w in points))


def _extremes_w(power: Power) -> Sequence[float]:
    match power:
        case Constant():
            return (power.power_w,)
        case Square():
            return (power.low_w, power.high_w)
        case Sine():
            return (power.mean_w - abs(power.amplitude_w),)
        case Steps():
            return [power_w for _, power_w in power.points]
    return ()
