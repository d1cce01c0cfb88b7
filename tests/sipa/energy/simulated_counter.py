"""Counters as the kernel shows them, in memory: truth in nanojoules, time in nanoseconds, and nothing random."""

from dataclasses import dataclass, field
from fractions import Fraction

from sipa.energy.perf_event import STEP_NJ, TRUSTED_UJ
from sipa.energy.readings import Domain, DomainKind, Mark, Reading, advance
from sipa.energy.window import DomainEnergy, energies_between

TOP = 0xFFFF_FFFF
PACKAGE_RANGE_UJ = 262143328850
DRAM_RANGE_UJ = 65712999613
EPYC_RANGE_UJ = 65532610987


def domain(range_uj: int = PACKAGE_RANGE_UJ, max_power_w: float = 330, **more: int) -> Domain:
    return Domain(
        id="pkg0",
        kind=DomainKind.PACKAGE,
        package=0,
        range_uj=range_uj,
        max_power_w=max_power_w,
        path="energy_uj",
        **more,
    )


def perf_domain(max_power_w: float = 330) -> Domain:
    """What `PerfSource` makes of energy-pkg: one count is a microjoule."""
    return domain(
        (2**64 - 1) * 10**6 // 2**32,
        max_power_w,
        trusted_uj=TRUSTED_UJ,
        unit_nj=1000,
        step_nj=STEP_NJ[DomainKind.PACKAGE],
    )


def energy(of: Domain, begin: Mark, end: Mark) -> DomainEnergy:
    return energies_between([of], begin, end)["pkg0"]


@dataclass
class Simulated:
    """A powercap counter: hardware counts, rounded down to microjoules."""

    domain: Domain
    start: int = 0
    truth_nj: int = 0
    now_ns: int = 0
    asleep_ns: int | None = 0

    def run(self, duration_ns: int, power_mw: int) -> None:
        self.truth_nj += duration_ns * power_mw // 1000
        self.now_ns += duration_ns

    def suspend(self, duration_ns: int, *, reset: bool = False) -> None:
        """The clock stands still and energy is drawn; the counter may begin again."""
        self.asleep_ns = (self.asleep_ns or 0) + duration_ns
        self.truth_nj += duration_ns
        if reset:
            self.start = -(self.truth_nj // self.domain.count_nj)

    def raw_uj(self) -> int:
        counts = (self.start + self.truth_nj // self.domain.count_nj) % self.domain.turn
        return counts * self.domain.count_nj // 1000

    def read(self, span_ns: int = 0, *, fail: bool = False) -> Reading:
        begin_ns = self.now_ns
        self.now_ns += span_ns
        return Reading(
            begin_ns=begin_ns,
            end_ns=self.now_ns,
            values_uj={} if fail else {"pkg0": self.raw_uj()},
            failures={"pkg0": "energy_uj: input/output error"} if fail else {},
            asleep_ns=self.asleep_ns,
        )

    def marks(self, schedule: list[tuple[int, int]]) -> tuple[list[Mark], list[int]]:
        """A mark before the first step and after each, with the truth at that moment."""
        mark = advance([self.domain], None, self.read())
        marks, truths = [mark], [self.truth_nj]
        for duration_ns, power_mw in schedule:
            self.run(duration_ns, power_mw)
            mark = advance([self.domain], mark, self.read())
            marks.append(mark)
            truths.append(self.truth_nj)
        return marks, truths


@dataclass
class SimulatedPerf(Simulated):
    """A perf count: `rapl_event_update` of arch/x86/events/rapl.c with its loss of sign and its timer for 200 W."""

    domain: Domain = field(default_factory=perf_domain)
    esu: int = 14
    count: int = 0
    previous: int = 0
    next_timer_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.previous = self._register()
        self.next_timer_ns = self._timer_ns()

    def run(self, duration_ns: int, power_mw: int) -> None:
        end_ns = self.now_ns + duration_ns
        begin_ns, before_nj = self.now_ns, self.truth_nj
        while self.next_timer_ns <= end_ns:
            self.now_ns = self.next_timer_ns
            self.truth_nj = before_nj + (self.now_ns - begin_ns) * power_mw // 1000
            self._update()
            self.next_timer_ns += self._timer_ns()
        self.now_ns, self.truth_nj = end_ns, before_nj + duration_ns * power_mw // 1000

    def raw_uj(self) -> int:
        self._update()
        return int((self.count % 2**64) * Fraction(10**6, 2**32))

    def _register(self) -> int:
        return (self.start + self.truth_nj * 2**self.esu // 10**9) & TOP

    def _update(self) -> None:
        """The new counts, as a difference of 32 bits with sign."""
        delta = (self._register() - self.previous) & TOP
        self.previous = self._register()
        self.count += (delta - 2**32 if delta >= 2**31 else delta) << 32 - self.esu

    def _timer_ns(self) -> int:
        return 5_000_000 * 2 ** (31 - self.esu)
