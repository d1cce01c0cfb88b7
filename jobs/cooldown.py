"""Before a trial: wait until the packages are about as cool as when the node was idle.

A warm processor leaks more, so a trial right after a long one would pay for its heat (ML.ENERGY's thermally stable
profiling; the Green Metrics Tool gates on a base temperature alike). What "idle" means is learnt in the session: the
lowest temperature at its start or at the end of any of its idle windows. A rack warms up over hours, so a node that has
stopped cooling is as cool as it gets: the trial begins, is flagged, and what "idle" means is learnt anew.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from sipa.spec.model import MeasurementSpec

POLL_S, LEAST_S = 1.0, 0.01
"""Longest and shortest pause between two looks."""

SETTLED_S, SETTLED_K = 60.0, 1.0
"""A node whose temperature moved by at most so much in so long, doing nothing, cools no further."""


class Verdict(StrEnum):
    """What a temperature says."""

    COOL = "cool"
    WARM = "warm"
    SETTLED = "settled"
    TIMED_OUT = "timed out"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolDown:
    """How the wait ended.

    Attributes:
        waited_s: how long it was; None where nothing could be waited for.
        temperature_c: of the hottest package at its end; None where it cannot be read.
        limit_c: what was waited for; None where it is not known.
        timed_out: it was still warmer than that.
        settled: it was warmer than that, and cooled no further.
    """

    waited_s: float | None
    temperature_c: float | None
    limit_c: float | None
    timed_out: bool = False
    settled: bool = False


Report = Callable[[str, float | None, str], None]


def judge(
    temperature_c: float | None, limit_c: float | None, waited_s: float, timeout_s: float, *, settled: bool = False
) -> Verdict:
    """Whether a trial may begin.

    Args:
        temperature_c: of the hottest package; None where it cannot be read.
        limit_c: it may begin at that or less; None where no temperature of the idle node is known.
        waited_s: how long it has waited.
        timeout_s: how long it may wait.
        settled: whether the node cools no further.
    """
    if temperature_c is None or limit_c is None:
        return Verdict.UNKNOWN
    if temperature_c <= limit_c:
        return Verdict.COOL
    if settled:
        return Verdict.SETTLED
    return Verdict.WARM if waited_s < timeout_s else Verdict.TIMED_OUT


def has_settled(samples: Sequence[tuple[float, float]]) -> bool:
    """Whether the temperature has stopped falling.

    Args:
        samples: seconds and degrees Celsius, in order of time.
    """
    if not samples or samples[-1][0] - samples[0][0] < SETTLED_S:
        return False
    latest = [temperature_c for at_s, temperature_c in samples if samples[-1][0] - at_s <= SETTLED_S]
    return max(latest) - min(latest) <= SETTLED_K


def cool_down(
    read: Callable[[], float | None],
    coolest_c: float | None,
    measurement: MeasurementSpec,
    *,
    abort: Callable[[], bool],
    report: Report,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> CoolDown:
    """Wait as long as the packages are too warm, at most `measurement.cooldown_timeout_s`, or until `abort` says so.

    Args:
        read: temperature of the hottest package in degrees Celsius; None where it cannot be read.
        coolest_c: the lowest temperature of the idle node; None where it is not known.
        measurement: how near it must come, and how long to wait; a time-out of 0 does not even look.
        abort: asked at every poll.
        report: called with phase, fraction and detail, while there is something to wait for.
        clock: seconds.
        sleep: waits.
    """
    timeout_s = measurement.cooldown_timeout_s
    if timeout_s <= 0:
        return CoolDown(waited_s=None, temperature_c=None, limit_c=None)
    limit_c = None if coolest_c is None else coolest_c + measurement.cooldown_within_c
    began, waited_s = clock(), 0.0
    samples: list[tuple[float, float]] = []
    while True:
        temperature_c = read()
        if temperature_c is not None:
            samples.append((waited_s, temperature_c))
        verdict = judge(temperature_c, limit_c, waited_s, timeout_s, settled=has_settled(samples))
        match verdict:
            case Verdict.WARM if not abort():
                report("cool-down", waited_s / timeout_s, f"{temperature_c:.0f} °C, until {limit_c:.0f} °C")
                sleep(min(POLL_S, max(LEAST_S, timeout_s - waited_s)))
                waited_s = clock() - began
            case Verdict.UNKNOWN:
                return CoolDown(waited_s=None, temperature_c=temperature_c, limit_c=limit_c)
            case Verdict.COOL | Verdict.WARM | Verdict.SETTLED | Verdict.TIMED_OUT:
                return CoolDown(
                    waited_s=waited_s,
                    temperature_c=temperature_c,
                    limit_c=limit_c,
                    timed_out=verdict is Verdict.TIMED_OUT,
                    settled=verdict is Verdict.SETTLED,
                )
            case _:
                assert_never(verdict)
