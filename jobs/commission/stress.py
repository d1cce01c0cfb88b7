"""The stress: every CPU busy until every package counter has wrapped, which is the only real proof of the arithmetic.

The latency of reads and the node's own power sensor are looked at while the load still runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs import frequency, host_state
from jobs.commission import trace as traces
from jobs.commission.bench import Bench, RunningLoad, busy, utilisation
from jobs.commission.lengths import Lengths
from jobs.commission.measured import Measured, measured
from jobs.commission.trace import Trace
from jobs.commission.wraps import Bracket, Crossing, crossings
from sipa.energy.readings import DomainKind
from sipa.energy.window import EnergyWindow

_LOOK_S = 1.0
_TEMPERATURE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """The node under full load.

    Attributes:
        window: the whole of it.
        crossings: the first wrap of each package counter that wrapped.
        loaded_cpus: how many CPUs were kept busy.
        utilisation: of all CPUs of the machine, 0 to 1; None where unreadable.
        frequency_hz: mean frequency (APERF/MPERF); None where unreadable.
        throttle_events: thermal throttling meanwhile; None where unreadable.
        power_limit_events: times a package reached its power limit; normal under full load; None where unreadable.
        temperature: (seconds since the begin, hottest package in °C).
        trace: one point a second by domain.
    """

    window: Measured
    crossings: tuple[Crossing, ...]
    loaded_cpus: int
    utilisation: float | None
    frequency_hz: float | None
    throttle_events: int | None
    power_limit_events: int | None
    temperature: tuple[tuple[float, float], ...]
    trace: Trace


def measure_stress(
    bench: Bench,
    lengths: Lengths,
    to_wrap_j: Mapping[str, float | None],
    meanwhile: Callable[[], None],
) -> Stress:
    """Keep all CPUs busy until every package has wrapped, at most until the limit.

    Args:
        bench: what to measure with.
        lengths: the limit.
        to_wrap_j: energy until each package's counter wraps, for the progress.
        meanwhile: called at the end, with the load still running and the window over.

    Raises:
        HostError: the load did not start, or ended.
    """
    watch = _Watch(bench, lengths, to_wrap_j)
    bench.say(None, "starting the load")
    with bench.effects.load() as running:
        begin, host, counts = busy(bench.root), host_state.read(bench.root), frequency.read(bench.root)
        window = watch.until_wrapped(running)
        end, after, now = busy(bench.root), host_state.read(bench.root), frequency.read(bench.root)
        trace = traces.by_domain(bench.meter.trace(window))
        meanwhile()
    return Stress(
        window=measured(window),
        crossings=crossings(watch.brackets, trace),
        loaded_cpus=len(running.cpus),
        utilisation=utilisation(begin, end),
        frequency_hz=frequency.effective_hz(counts, now),
        throttle_events=_more(host.throttle_events, after.throttle_events),
        power_limit_events=_more(host.power_limit_events, after.power_limit_events),
        temperature=tuple(watch.temperature),
        trace=trace,
    )


class _Watch:
    """Looks at the counters once a second while the load runs.

    Args:
        bench: what to measure with.
        lengths: when it is enough.
        to_wrap_j: energy until each package's counter wraps, for the progress.
    """

    def __init__(self, bench: Bench, lengths: Lengths, to_wrap_j: Mapping[str, float | None]) -> None:
        self.brackets: dict[str, Bracket] = {}
        self.temperature: list[tuple[float, float]] = []
        self._bench = bench
        self._lengths = lengths
        self._to_wrap_j = to_wrap_j
        self._last_s = 0.0

    def until_wrapped(self, load: RunningLoad) -> EnergyWindow:
        """The window from now until every package has wrapped and some time after, at most until the limit."""
        token = self._bench.meter.begin("stress")
        while True:
            self._bench.effects.sleep(_LOOK_S)
            load.check()
            look = self._bench.meter.end(token)
            packages = look.parts(DomainKind.PACKAGE)
            self._look(look)
            if look.duration_s >= self._lengths.stress_limit_s or self._enough(len(packages)):
                return look
            power = "" if look.power_w is None else f"{look.power_w:.0f} W, "
            detail = f"{power}{len(self.brackets)} of {len(packages)} package counters have wrapped"
            self._bench.say(_done(look, self._lengths, self._to_wrap_j), detail)

    def _look(self, window: EnergyWindow) -> None:
        """Which counters have wrapped since the last look, and how warm it is."""
        now_s = window.duration_s
        for each in window.parts(DomainKind.PACKAGE):
            if each.wraps:
                self.brackets.setdefault(each.domain.id, Bracket(after_s=self._last_s, before_s=now_s))
        if not self.temperature or now_s - self.temperature[-1][0] >= _TEMPERATURE_EVERY_S:
            temperature_c = host_state.temperature_c(self._bench.root)
            if temperature_c is not None:
                self.temperature.append((now_s, temperature_c))
        self._last_s = now_s

    def _enough(self, packages: int) -> bool:
        """Whether all have wrapped, and long enough ago that there are neighbours to compare with."""
        last_s = max((each.before_s for each in self.brackets.values()), default=0.0)
        return len(self.brackets) == packages and self._last_s - last_s >= self._lengths.after_wrap_s


def _done(look: EnergyWindow, lengths: Lengths, to_wrap_j: Mapping[str, float | None]) -> float:
    """Share of the stress that is over: by energy while counters have to wrap, by time where nothing is known."""
    packages = look.parts(DomainKind.PACKAGE)
    left_s = [_left_s(each.joules, to_wrap_j.get(each.domain.id), look.duration_s) for each in packages]
    known = [each for each in left_s if each is not None]
    by_time = look.duration_s / lengths.stress_limit_s
    if not packages or len(known) < len(packages):
        return min(1.0, by_time)
    return min(1.0, max(by_time, look.duration_s / (look.duration_s + max(known) + lengths.after_wrap_s)))


def _left_s(energy_j: float | None, to_wrap_j: float | None, duration_s: float) -> float | None:
    """Time until a counter wraps at its power so far."""
    if energy_j is None or to_wrap_j is None or energy_j <= 0:
        return None
    return max(0.0, to_wrap_j - energy_j) * duration_s / energy_j


def _more(before: int | None, after: int | None) -> int | None:
    return after - before if before is not None and after is not None else None
