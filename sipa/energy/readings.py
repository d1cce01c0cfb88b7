"""Counter arithmetic: what a wrapping energy counter tells between two reads, and when it tells nothing.

The microjoules that the kernel shows are rounded down from hardware counts of (mostly) 61.035 µJ. Those counts
are recovered and all is done with them, in integers: a turn is exactly 2^32 counts, however often it wraps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

RAPL_UPDATE_NS = 1_000_000
"""RAPL counters are updated about every millisecond and carry no time (Intel SDM 3B; Hähnel et al. 2012)."""

SUSPENDED_NS = 10_000_000
"""A host that slept for longer than this was suspended; what is shorter is the blur of reading two clocks."""

_TOP_COUNT = 0xFFFF_FFFF


class DomainKind(StrEnum):
    """What a counter counts."""

    PACKAGE = "package"
    DRAM = "dram"
    CORE = "core"
    UNCORE = "uncore"
    PSYS = "psys"

    @property
    def counted(self) -> bool:
        """Whether totals include it: core and uncore are inside package, psys holds all, DRAM is outside."""
        return self in (DomainKind.PACKAGE, DomainKind.DRAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One energy counter.

    Attributes:
        id: short name, unique in its source: `pkg0`, `dram1`, `pkg0die1`, `psys`.
        kind: what it counts.
        package: physical package (socket) number; None for a counter of the whole machine.
        range_uj: the largest value that the counter shows, in microjoules.
        max_power_w: no reading of this counter can mean more power than this.
        path: the file (or event) that is read.
        update_ns: period at which the hardware updates the counter.
        trusted_uj: largest advance between two reads that the source reports truly; None: a whole turn.
        unit_nj: what one count is worth; None: it is recovered from `range_uj`.
        step_nj: the smallest step of the register behind the counter; one count, where that is more.
        count_nj: what one count of the counter is worth.
        turn: counts after which it starts from 0 again.
        max_gap_ns: two reads further apart than this could hide a wrap, or more than is reported truly.
    """

    id: str
    kind: DomainKind
    package: int | None
    range_uj: int
    max_power_w: float
    path: str
    update_ns: int = RAPL_UPDATE_NS
    trusted_uj: int | None = None
    unit_nj: int | None = None
    step_nj: int = 0
    count_nj: int = field(init=False)
    turn: int = field(init=False)
    max_gap_ns: int = field(init=False)

    def __post_init__(self) -> None:
        count_nj, turn = _count_and_turn(self.range_uj, self.unit_nj)
        told_nj = turn * count_nj if self.trusted_uj is None else min(turn * count_nj, self.trusted_uj * 1000)
        object.__setattr__(self, "count_nj", count_nj)
        object.__setattr__(self, "step_nj", max(self.step_nj, count_nj))
        object.__setattr__(self, "turn", turn)
        # Watts times nanoseconds are nanojoules.
        object.__setattr__(self, "max_gap_ns", int(told_nj / self.max_power_w))

    @property
    def counted(self) -> bool:
        """Whether a total includes this domain."""
        return self.kind.counted

    def counts(self, raw_uj: int) -> int:
        """The hardware count that the kernel showed, rounded down, as `raw_uj`."""
        return -(-raw_uj * 1000 // self.count_nj)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Time that all CPUs together have spent since boot, in clock ticks.

    Attributes:
        busy: not idle, and not taken by the hypervisor for other machines.
        total: all of it.
    """

    busy: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Raw values of every domain at one time.

    Attributes:
        begin_ns: monotonic time just before the first counter was read.
        end_ns: monotonic time just after the last one was read.
        values_uj: what each counter showed, in microjoules, by domain.
        failures: why a counter could not be read, by domain; such a domain is not in `values_uj`.
        cpu: CPU times, where the source reads them.
        asleep_ns: how long the host has been suspended since boot (CLOCK_BOOTTIME less CLOCK_MONOTONIC); None
            where that is not known.
        opening: number of the opening of the source; values of two openings are compared only if they are equal.
    """

    begin_ns: int
    end_ns: int
    values_uj: Mapping[str, int]
    failures: Mapping[str, str] = field(default_factory=dict)
    cpu: CpuTimes | None = None
    asleep_ns: int | None = None
    opening: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What all reads so far say about one counter.

    Attributes:
        counts: last good value; None before the first.
        read_ns: when the read that gave it began.
        wraps: wraps so far.
        breaks: moments so far across which energy is not known: gaps that could hide a wrap, values that went
            backwards, suspends.
        implausible: advances so far that meant more than the physical maximum power.
        failures: failed reads so far.
        failure: why the latest read failed; None if it succeeded.
        break_reason: what the latest break was.
        implausible_reason: what the latest implausible advance was.
    """

    counts: int | None = None
    read_ns: int = 0
    wraps: int = 0
    breaks: int = 0
    implausible: int = 0
    failures: int = 0
    failure: str | None = None
    break_reason: str | None = None
    implausible_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One instant on every counter: a value together with its wraps, so that the two never disagree.

    The difference of any two marks of one meter is a window; windows therefore nest and overlap freely.

    Attributes:
        begin_ns: monotonic time just before the counters were read.
        end_ns: monotonic time just after they were read.
        tracks: by domain.
        cpu: CPU times, where the source reads them.
        asleep_ns: how long the host had been suspended since boot; None where that is not known.
        opening: number of the opening of the source.
    """

    begin_ns: int
    end_ns: int
    tracks: Mapping[str, Track]
    cpu: CpuTimes | None = None
    asleep_ns: int | None = None
    opening: int = 0


def advance(domains: Sequence[Domain], mark: Mark | None, reading: Reading) -> Mark:
    """The mark after one more reading.

    Args:
        domains: every domain of the source.
        mark: the mark of the reading before, or None at the first.
        reading: raw values, taken after `mark`.
    """
    tracks = mark.tracks if mark else {}
    broken = _interruption(mark, reading) if mark else None
    return Mark(
        begin_ns=reading.begin_ns,
        end_ns=reading.end_ns,
        tracks={domain.id: follow(domain, tracks.get(domain.id, _UNREAD), reading, broken) for domain in domains},
        cpu=reading.cpu,
        asleep_ns=reading.asleep_ns,
        opening=reading.opening,
    )


def follow(domain: Domain, track: Track, reading: Reading, interruption: str | None = None) -> Track:
    """What is known of one counter after one more reading: never a corrected guess.

    Args:
        domain: the counter.
        track: what was known before.
        reading: raw values.
        interruption: what happened to all counters since the reading before, so that no advance can be told.
    """
    raw_uj = reading.values_uj.get(domain.id)
    if raw_uj is None or not 0 <= raw_uj <= domain.range_uj:
        failed = replace(track, failures=track.failures + 1, failure=_failure(domain, reading, raw_uj))
        return _broken(failed, f"{domain.path}: {interruption}") if interruption else failed
    counts = domain.counts(raw_uj)
    if track.counts is None:
        return replace(track, counts=counts, read_ns=reading.begin_ns, failure=None)
    # The last value may have been one update period old: this one may hold the energy of that much more time.
    gap_ns = reading.end_ns - track.read_ns + domain.update_ns
    wrapped = counts < track.counts
    advance_nj = (counts - track.counts + wrapped * domain.turn) * domain.count_nj
    if reason := interruption or _doubt(domain, advance_nj, gap_ns):
        read = replace(track, counts=counts, read_ns=reading.begin_ns, failure=None)
        return _broken(read, f"{domain.path}: {reason}")
    implausible = advance_nj > domain.max_power_w * gap_ns + 2 * domain.step_nj
    return Track(
        counts=counts,
        read_ns=reading.begin_ns,
        wraps=track.wraps + wrapped,
        breaks=track.breaks,
        implausible=track.implausible + implausible,
        failures=track.failures,
        break_reason=track.break_reason,
        implausible_reason=_too_much(domain, advance_nj, gap_ns) if implausible else track.implausible_reason,
    )


def suspended_s(begin: Mark | Reading, end: Mark | Reading) -> float:
    """How long the host was suspended between two instants; 0 also where that is not known."""
    if begin.asleep_ns is None or end.asleep_ns is None or end.asleep_ns - begin.asleep_ns <= SUSPENDED_NS:
        return 0.0
    return (end.asleep_ns - begin.asleep_ns) / 1e9


def energy_nj(domain: Domain, begin: Track, end: Track) -> int:
    """Energy between two tracks of one domain in nanojoules, exact to one count.

    Raises:
        ValueError: one of them has no value yet.
    """
    if begin.counts is None or end.counts is None:
        raise ValueError(f"{domain.id} has no value yet")
    return (end.counts - begin.counts + (end.wraps - begin.wraps) * domain.turn) * domain.count_nj


_UNREAD = Track()


def _count_and_turn(range_uj: int, unit_nj: int | None) -> tuple[int, int]:
    """What one count is worth in nanojoules, and the counts of a whole turn, from the range that is declared.

    The kernel computes `energy_uj` as counts * unit_nj // 1000 and the range as the same of 2^32 - 1 counts
    (drivers/powercap/intel_rapl_common.c), from which unit_nj is recovered exactly. A range of any other make
    is taken at its word: one count is one microjoule.
    """
    if unit_nj is not None:
        return unit_nj, range_uj * 1000 // unit_nj + 1
    unit_nj = -(-range_uj * 1000 // _TOP_COUNT)
    if unit_nj >= 1000 and unit_nj * _TOP_COUNT // 1000 == range_uj:
        return unit_nj, _TOP_COUNT + 1
    return 1000, range_uj + 1


def _interruption(mark: Mark, reading: Reading) -> str | None:
    """What happened to all counters of a source since the last mark, or None."""
    if mark.opening != reading.opening:
        return "was opened anew, and its count began again: what it counted before is not known. Cure: measure again"
    if asleep_s := suspended_s(mark, reading):
        return (
            f"the host was suspended for {asleep_s:.5g} s: RAPL counters may be reset then, and the clock stood "
            f"still. Cure: keep the host awake and measure again"
        )
    return None


def _doubt(domain: Domain, advance_nj: int, gap_ns: int) -> str | None:
    """Why the advance of a counter between two reads cannot be told from another, or None."""
    if gap_ns > domain.max_gap_ns:
        hidden = "wrap unseen" if domain.trusted_uj is None else "exceed what its source can tell"
        return (
            f"{gap_ns / 1e9:.5g} s passed between two reads; at up to {domain.max_power_w:.4g} W the counter can "
            f"{hidden} after {domain.max_gap_ns / 1e9:.5g} s. Cure: measure again on a host that is never "
            f"stopped or overloaded for that long"
        )
    if domain.trusted_uj is None or advance_nj <= domain.trusted_uj * 1000 + domain.step_nj:
        return None
    back_nj = domain.turn * domain.count_nj - advance_nj
    if back_nj < advance_nj:
        return f"went backwards by {back_nj / 1e9:.6g} J, which this counter never does. Cure: measure again"
    return (
        f"advanced by {advance_nj / 1e9:.6g} J between two reads, where only {domain.trusted_uj / 1e6:.6g} J are "
        f"reported truly. Cure: measure again"
    )


def _failure(domain: Domain, reading: Reading, raw_uj: int | None) -> str:
    if raw_uj is None:
        return reading.failures.get(domain.id, f"{domain.path}: was not read")
    return (
        f"{domain.path}: shows {raw_uj} µJ, which is outside its own range of 0 to {domain.range_uj}. "
        f"Cure: open the meter again; if it stays so, this counter cannot be used"
    )


def _broken(track: Track, reason: str) -> Track:
    return replace(track, breaks=track.breaks + 1, break_reason=reason)


def _too_much(domain: Domain, advance_nj: int, gap_ns: int) -> str:
    return (
        f"{domain.path}: advanced by {advance_nj / 1e9:.6g} J in {gap_ns / 1e9:.5g} s, more than its maximum "
        f"of {domain.max_power_w:.4g} W allows: a counter that was reset, or limits that the driver declares too low"
    )
