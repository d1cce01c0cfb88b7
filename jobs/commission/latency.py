"""How long reading the counters takes: the skew between the first and the last, and the price of a window.

All counters of a machine are read one after the other; a remote socket's needs an interrupt to one of its CPUs. What
passes meanwhile is an uncertainty at each end of every window, and is in each row's uncertainty.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from jobs.commission.distribution import Distribution, distribution
from jobs.commission.verdict import Finding, Verdict, finding, graded
from sipa.energy.meter import EnergyMeter
from sipa.energy.readings import Domain
from sipa.energy.source import MeterKind, Source

WINDOW_S = 10.0
"""The shortest window that is measured by default (`measurement.min_window_s`)."""

MAX_SHARE, BAD_SHARE = 1e-4, 1e-3
"""Skew of both ends of such a window as a share of it: limits of what is good, and of what is usable."""

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Read latencies in one state of the machine.

    Attributes:
        source: what was read.
        whole: all counters, from before the first to after the last.
        single: one counter alone, by domain; empty for sources that are not files.
        window: `begin` and `end` of the meter, with every counter that runs along.
    """

    source: str
    whole: Distribution | None
    single: Mapping[str, Distribution]
    window: Distribution | None


def measure_latency(source: Source, meter: EnergyMeter, reads: int, clock: Clock = time.monotonic_ns) -> Latency:
    """Read as fast as possible.

    Args:
        source: open, and nobody else's.
        meter: for the price of windows.
        reads: of all counters; of each single one as many; a fifth as many windows.
        clock: nanoseconds.
    """
    return Latency(
        source=source.kind.value,
        whole=distribution(_skew(source) for _ in range(reads)),
        single=_single(source, reads, clock),
        window=distribution(_window(meter, clock) for _ in range(max(1, reads // 5))),
    )


def judge_latency(found: Latency, *, loaded: bool = False) -> Finding:
    """What the latency means for a window.

    Args:
        found: in one state of the machine.
        loaded: whether every CPU was busy, which no window's edge has to bear: it can only warn.
    """
    key, title = ("read-latency-loaded", "Read latency under load") if loaded else ("read-latency", "Read latency")
    why = f"the counters are not read at one instant: the skew is an error at both ends of a window of {WINDOW_S:g} s"
    if found.whole is None:
        return finding(key, title, Verdict.UNKNOWN, "nothing was read", why=why)
    share = 2 * found.whole.p99_s / WINDOW_S
    text = f"{_microseconds(found.whole)}: {share:.4%} of the window"
    if found.window is not None:
        text += f"; begin and end of a window cost {found.window.median_s * 1e6:.0f} µs"
    cure = "look for deep idle states and a busy node; longer windows (measurement.min_window_s) make it small"
    return finding(key, title, graded(share, MAX_SHARE, None if loaded else BAD_SHARE), text, why=why, cure=cure)


def _skew(source: Source) -> int:
    reading = source.read()
    return reading.end_ns - reading.begin_ns


def _window(meter: EnergyMeter, clock: Clock) -> int:
    begin_ns = clock()
    meter.end(meter.begin("latency"))
    return clock() - begin_ns


def _single(source: Source, reads: int, clock: Clock) -> dict[str, Distribution]:
    if source.kind is not MeterKind.POWERCAP:
        return {}
    found = {domain.id: distribution(_reads(domain, reads, clock)) for domain in source.domains}
    return {domain: each for domain, each in found.items() if each is not None}


def _reads(domain: Domain, reads: int, clock: Clock) -> Iterator[int]:
    """Times of single reads; a counter that cannot be read any more gives none."""
    with suppress(OSError):
        descriptor = os.open(domain.path, os.O_RDONLY)
        try:
            for _ in range(reads):
                begin_ns = clock()
                os.pread(descriptor, 64, 0)
                yield clock() - begin_ns
        finally:
            os.close(descriptor)


def _microseconds(times: Distribution) -> str:
    median, p99, longest = (round(each * 1e6) for each in (times.median_s, times.p99_s, times.max_s))
    return f"{median} µs median, {p99} µs 99th percentile, {longest} µs at most"
