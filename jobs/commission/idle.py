"""Ten minutes of nothing: what the node draws when idle, how steadily, and whether it was idle at all.

Net energy is gross energy less idle power times time, so drift and noise of the idle power are errors of every net
number: one watt that came meanwhile is 60 J in a window of a minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs import host_state
from jobs.commission import trace as traces
from jobs.commission.bench import Bench, busy, others_cores
from jobs.commission.lengths import Lengths
from jobs.commission.measured import Measured, measured
from jobs.commission.trace import Trace
from jobs.commission.verdict import Finding, Verdict, finding, graded

MAX_DRIFT, BAD_DRIFT = 0.02, 0.10
"""Drift over the whole idle time as a share of the mean power: limits of what is good, and of what is usable."""

MAX_NOISE, BAD_NOISE = 0.01, 0.05
"""Standard deviation of the means of blocks as a share of the mean power: the same limits."""

MAX_OTHERS_CORES = 0.05
"""CPUs kept busy by others: the default gate of a trial (`measurement.max_foreign_cores`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """How steady one counter, or the sum of those that are counted, was.

    Attributes:
        domain: `pkg0`, ..., or `total`.
        mean_w: mean power.
        spread_w: standard deviation of the samples of a second.
        drift_w_per_h: slope of the least-squares line.
        block_spread_w: standard deviation of the means of blocks.
    """

    domain: str
    mean_w: float | None
    spread_w: float | None
    drift_w_per_h: float | None
    block_spread_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """The idle node.

    Attributes:
        window: the whole of it.
        steadiness: of every counter, and of the total as the last.
        block_s: length of a block.
        blocks: how many there were.
        others_cores: CPUs that everything but this process kept busy; None where unreadable.
        temperature_begin_c: hottest package; None where unreadable.
        trace: one point a second by domain.
    """

    window: Measured
    steadiness: tuple[Steadiness, ...]
    block_s: float
    blocks: int
    others_cores: float | None
    temperature_begin_c: float | None
    temperature_end_c: float | None
    trace: Trace

    @property
    def total(self) -> Steadiness:
        """Of packages and DRAM together."""
        return self.steadiness[-1]


def measure_idle(bench: Bench, lengths: Lengths) -> Idle:
    """Do nothing and watch."""
    begin, temperature_c = busy(bench.root), host_state.read(bench.root).temperature_c
    with bench.meter.window("idle") as window:
        bench.rest(lengths.idle_s)
    end = busy(bench.root)
    trace = traces.by_domain(bench.meter.trace(window.energy))
    found = measured(window.energy)
    return Idle(
        window=found,
        steadiness=steadiness(found, trace, lengths.block_s),
        block_s=lengths.block_s,
        blocks=len(traces.blocks(_total(found, trace), lengths.block_s)),
        others_cores=others_cores(begin, end, found.duration_s),
        temperature_begin_c=temperature_c,
        temperature_end_c=host_state.read(bench.root).temperature_c,
        trace=trace,
    )


def steadiness(window: Measured, trace: Trace, block_s: float) -> tuple[Steadiness, ...]:
    """Of every counter, and of their total as the last."""
    parts = [(each.domain, each.power_w, trace.get(each.domain, ())) for each in window.counters]
    parts.append(("total", window.power_w, _total(window, trace)))
    return tuple(_steadiness(domain, mean_w, points, block_s) for domain, mean_w, points in parts)


def judge_idle(idle: Idle) -> Iterator[Finding]:
    """What the idle node says."""
    yield _judge_drift(idle)
    yield _judge_noise(idle)
    yield _judge_quiet(idle)


def _judge_drift(idle: Idle) -> Finding:
    total = idle.total
    why = "net energy subtracts idle power measured before and after a trial: what drifts meanwhile stays in it"
    if total.mean_w is None:
        return finding("idle-drift", "Idle drift", Verdict.FAIL, idle.window.reasons, why=why, cure=_LOOK)
    if total.drift_w_per_h is None or total.mean_w <= 0:
        return finding("idle-drift", "Idle drift", Verdict.UNKNOWN, "too few samples", why=why, cure=_AGAIN)
    drift_w = total.drift_w_per_h * idle.window.duration_s / 3600
    share = abs(drift_w) / total.mean_w
    found = f"{total.mean_w:.2f} W, {drift_w:+.2f} W ({share:.2%}) in {idle.window.duration_s:.0f} s" + _temperatures(
        idle
    )
    return finding("idle-drift", "Idle drift", graded(share, MAX_DRIFT, BAD_DRIFT), found, why=why, cure=_SETTLE)


def _judge_noise(idle: Idle) -> Finding:
    total, title = idle.total, f"Idle noise over {idle.block_s:g} s"
    why = "two idle windows of a trial differ by so much though nothing happened: an error of its net energy"
    if total.block_spread_w is None or not total.mean_w:
        return finding("idle-noise", title, Verdict.UNKNOWN, "too few samples", why=why, cure=_AGAIN)
    share = total.block_spread_w / total.mean_w
    found = f"means of {idle.blocks} windows of {idle.block_s:g} s: sd {total.block_spread_w:.3f} W, {share:.2%}"
    return finding("idle-noise", title, graded(share, MAX_NOISE, BAD_NOISE), found, why=why, cure=_QUIETEN)


def _judge_quiet(idle: Idle) -> Finding:
    why = "counters count the whole machine: what others do is in every number"
    if idle.others_cores is None:
        return finding("quiet", "Quiet", Verdict.UNKNOWN, "/proc/stat tells nothing", why=why)
    found = f"other processes kept {idle.others_cores:.3f} CPUs busy"
    return finding("quiet", "Quiet", graded(idle.others_cores, MAX_OTHERS_CORES), found, why=why, cure=_QUIETEN)


_LOOK = "see the reason; `sipa-cluster doctor --node` names the cure"
_AGAIN = "run it without --quick"
_SETTLE = "let the node rest for half an hour after boot or load, stop periodic jobs, then commission it again"
_QUIETEN = "stop what else runs: `top`, `systemctl list-timers`, a monitoring agent of the testbed"


def _temperatures(idle: Idle) -> str:
    if idle.temperature_begin_c is None or idle.temperature_end_c is None:
        return ""
    return f"; {idle.temperature_begin_c:.0f} °C at the begin, {idle.temperature_end_c:.0f} °C at the end"


def _steadiness(domain: str, mean_w: float | None, points: traces.Points, block_s: float) -> Steadiness:
    blocks = traces.blocks(points, block_s)
    return Steadiness(
        domain=domain,
        mean_w=mean_w,
        spread_w=traces.spread_w(points),
        drift_w_per_h=traces.drift_w_per_h(points),
        block_spread_w=traces.spread_w(blocks),
    )


def _total(window: Measured, trace: Trace) -> traces.Points:
    return traces.summed(trace, [each.domain for each in window.counters if each.counted])
