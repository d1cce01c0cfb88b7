"""Counter arithmetic: what a wrapping energy counter tells between two reads, and when it tells nothing.

The microjoules that the kernel shows are rounded down from hardware counts of (mostly) 61.035 µJ. Those counts
are recovered and all is done with them, in integers: a turn is exactly 2^32 counts, however often it wraps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

RAPL_UPDATE_NS = 1_000_000
"""RAPL counters are updated about every millisecond and carry no time (Intel SDM 3B; Hähnel et al. 2012)."""

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
        count_nj: what one count of the counter is worth.
        turn: counts after which it starts from 0 again.
        max_gap_ns: two reads further apart than this could hide a second wrap.
    """

    id: str
    kind: DomainKind
    package: int | None
    range_uj: int
    max_power_w: float
    path: str
    update_ns: int = RAPL_UPDATE_NS
    count_nj: int = field(init=False)
    turn: int = field(init=False)
    max_gap_ns: int = field(init=False)

    def __post_init__(self) -> None:
        count_nj, turn = _count_and_turn(self.range_uj)
        object.__setattr__(self, "count_nj", count_nj)
        object.__setattr__(self, "turn", turn)
        # Watts times nanoseconds are nanojoules.
        object.__setattr__(self, "max_gap_ns", int(turn * count_nj / self.max_power_w))

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
    """

    begin_ns: int
    end_ns: int
    values_uj: Mapping[str, int]
    failures: Mapping[str, str] = field(default_factory=dict)
    cpu: CpuTimes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What all reads so far say about one counter.

    Attributes:
        counts: last good value; None before the first.
        read_ns: when the read that gave it began.
        wraps: wraps so far.
        breaks: gaps so far that could hide a wrap; energy is known only between two of them.
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
    """

    begin_ns: int
    end_ns: int
    tracks: Mapping[str, Track]
    cpu: CpuTimes | None = None


def advance(domains: Sequence[Domain], mark: Mark | None, reading: Reading) -> Mark:
    """The mark after one more reading.

    Args:
        domains: every domain of the source.
        mark: the mark of the reading before, or None at the first.
        reading: raw values, taken after `mark`.
    """
    tracks = mark.tracks if mark else {}
    return Mark(
        begin_ns=reading.begin_ns,
        end_ns=reading.end_ns,
        tracks={domain.id: follow(domain, tracks.get(domain.id, _UNREAD), reading) for domain in domains},
        cpu=reading.cpu,
    )


def follow(domain: Domain, track: Track, reading: Reading) -> Track:
    """What is known of one counter after one more reading: never a corrected guess."""
    raw_uj = reading.values_uj.get(domain.id)
    if raw_uj is None or not 0 <= raw_uj <= domain.range_uj:
        return replace(track, failures=track.failures + 1, failure=_failure(domain, reading, raw_uj))
    counts = domain.counts(raw_uj)
    if track.counts is None:
        return replace(track, counts=counts, read_ns=reading.begin_ns, failure=None)
    # The last value may have been one update period old: this one may hold the energy of that much more time.
    gap_ns = reading.end_ns - track.read_ns + domain.update_ns
    if gap_ns > domain.max_gap_ns:
        return _broken(domain, track, counts, reading.begin_ns, gap_ns)
    wrapped = counts < track.counts
    advance_nj = (counts - track.counts + wrapped * domain.turn) * domain.count_nj
    implausible = advance_nj > domain.max_power_w * gap_ns + 2 * domain.count_nj
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


def energy_nj(domain: Domain, begin: Track, end: Track) -> int:
    """Energy between two tracks of one domain in nanojoules, exact to one count.

    Raises:
        ValueError: one of them has no value yet.
    """
    if begin.counts is None or end.counts is None:
        raise ValueError(f"{domain.id} has no value yet")
    return (end.counts - begin.counts + (end.wraps - begin.wraps) * domain.turn) * domain.count_nj


_UNREAD = Track()


def _count_and_turn(range_uj: int) -> tuple[int, int]:
    """What one count is worth in nanojoules, and the counts of a whole turn, from the range that is declared.

    The kernel computes `energy_uj` as counts * unit_nj // 1000 and the range as the same of 2^32 - 1 counts
    (drivers/powercap/intel_rapl_common.c), from which unit_nj is recovered exactly. A range of any other make
    is taken at its word: one count is one microjoule.
    """
    unit_nj = -(-range_uj * 1000 // _TOP_COUNT)
    if unit_nj >= 1000 and unit_nj * _TOP_COUNT // 1000 == range_uj:
        return unit_nj, _TOP_COUNT + 1
    return 1000, range_uj + 1


def _failure(domain: Domain, reading: Reading, raw_uj: int | None) -> str:
    if raw_uj is None:
        return reading.failures.get(domain.id, f"{domain.path}: was not read")
    return f"{domain.path}: shows {raw_uj} µJ, which is outside its own range of 0 to {domain.range_uj}"


def _broken(domain: Domain, track: Track, counts: int, read_ns: int, gap_ns: int) -> Track:
    reason = (
        f"{domain.path}: {gap_ns / 1e9:.3g} s passed between two reads; at up to {domain.max_power_w:.4g} W "
        f"the counter can wrap unseen after {domain.max_gap_ns / 1e9:.3g} s"
    )
    return replace(track, counts=counts, read_ns=read_ns, breaks=track.breaks + 1, failure=None, break_reason=reason)


def _too_much(domain: Domain, advance_nj: int, gap_ns: int) -> str:
    return (
        f"{domain.path}: advanced by {advance_nj / 1e9:.4g} J in {gap_ns / 1e9:.3g} s, more than its maximum "
        f"of {domain.max_power_w:.4g} W allows: a counter that was reset, or a host that was suspended"
    )
