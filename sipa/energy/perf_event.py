"""RAPL energy through perf_event_open: the register that powercap reads, by other code of the kernel.

Agreement of the two is a check of the arithmetic and not a second sensor. The kernel adds up 32-bit differences with
their sign (`rapl_event_update` in arch/x86/events/rapl.c) and refreshes them by a timer made for 200 W: where a
package draws more on average and nobody reads, a difference passes 2^31 counts and the energy falls. So reads must be
closer than that, and a count that went backwards tells nothing.
"""

import errno
import os
import resource
import struct
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from sipa.energy.counter_error import CounterError, by_cause
from sipa.energy.perf_pmu import MODULE_CURE, Place, PmuEvent, read_pmu
from sipa.energy.powercap import FALLBACK_MAX_POWER_W, max_power_w
from sipa.energy.readings import Domain, DomainKind, Reading
from sipa.energy.source import MeterKind
from sipa.energy.zones import Zone, domain_id, find_zones
from sipa.errors import MeterError

TRUSTED_UJ = 2**31 * 10**6 // 2**16
"""2^31 counts of the smallest unit of any RAPL hardware, 2^-16 J: 32,768 J. Beyond it the kernel may lose the sign."""

STEP_NJ = dict.fromkeys(DomainKind, 61036) | {DomainKind.PSYS: 10**9}
"""The coarsest register step there is, 2^-14 J and for psys 1 J: the PMU does not tell its own."""

PARANOID = "proc/sys/kernel/perf_event_paranoid"

_SYSCALLS = {"x86_64": 298, "aarch64": 241}
_CLOEXEC = 8
_ATTRIBUTE = struct.Struct("=IIQQQQQIIQQ")
"""perf_event_attr up to config2 (PERF_ATTR_SIZE_VER1), everything else 0: count at once, system-wide, in all modes."""

_ANSWER = 8


class PerfSource:
    """The energy events of the `power` PMU, a descriptor for each event and socket.

    Args:
        root: where `sys` and `proc` are.
        clock: monotonic nanoseconds.

    Attributes:
        domains: the counters, packages first, with powercap's names.
        ignored: events and CPUs that are left out, with the reason.

    Raises:
        MeterError: there is no such PMU, or an event that totals need cannot be opened: why not, with the cure.
    """

    kind = MeterKind.PERF

    def __init__(self, root: Path = Path("/"), clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._root = root
        self._clock = clock
        self._pmu = read_pmu(root)
        self._counters: dict[str, _Counter] = {}
        self._files: dict[str, int] = {}
        self._opening = 0
        problems = [*self._pmu.problems, *self._open_all()]
        if needed := [problem for problem in problems if problem.needed]:
            self.close()
            raise MeterError(by_cause(needed))
        self.domains: tuple[Domain, ...] = tuple(counter.domain for counter in self._counters.values())
        self.ignored = (*self._pmu.ignored, *map(str, problems))

    def open(self) -> None:
        """Open the events again, after `close` or in the child of a fork; their counts begin again.

        Raises:
            MeterError: one of them can no longer be opened.
        """
        if self._files:
            return
        self._opening += 1
        try:
            for counter in self._counters.values():
                self._open(counter)
        except MeterError:
            self.close()
            raise

    def read(self) -> Reading:
        """Every counter, one `read` after the other and nothing in between."""
        begin_ns = self._clock()
        raw = [(counter, _read(self._files.get(name, -1))) for name, counter in self._counters.items()]
        end_ns = self._clock()
        values: dict[str, int] = {}
        failures: dict[str, str] = {}
        for counter, answer in raw:
            if isinstance(answer, bytes):
                values[counter.domain.id] = counter.microjoules(answer)
            else:
                failures[counter.domain.id] = f"{counter.domain.path}: {answer}"
        return Reading(begin_ns=begin_ns, end_ns=end_ns, values_uj=values, failures=failures, opening=self._opening)

    def close(self) -> None:
        """Close the events; closing twice does nothing."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _open_all(self) -> list[CounterError]:
        """Open every event on every CPU that counts; what is wrong with those that cannot be used."""
        problems: list[CounterError] = []
        zones = {zone.id: zone for zone in find_zones(self._root)[0]}
        for event in self._pmu.events:
            # psys is one register of the whole machine, however many CPUs show it.
            places = self._pmu.places[:1] if event.kind is DomainKind.PSYS else self._pmu.places
            for place in places:
                counter = _Counter(event, place, zones)
                try:
                    self._open(counter)
                except CounterError as problem:
                    problems.append(problem)
                else:
                    self._counters[counter.domain.id] = counter
        return problems

    def _open(self, counter: "_Counter") -> None:
        domain = counter.domain
        try:
            self._files[domain.id] = perf_event_open(self._pmu.type, counter.config, counter.cpu)
        except OSError as error:
            raise CounterError(domain.path, _cause(error, self._root), domain.kind) from error
        answer = _read(self._files[domain.id])
        if isinstance(answer, str):
            os.close(self._files.pop(domain.id))
            raise CounterError(domain.path, answer, domain.kind)


class _Counter:
    """One event on one CPU.

    Args:
        event: what is counted.
        place: the CPU that counts it, and for which socket.
        zones: the powercap zones of the machine, which tell the register's step and limits.
    """

    def __init__(self, event: PmuEvent, place: Place, zones: dict[str, Zone]) -> None:
        package, die = (None, None) if event.kind is DomainKind.PSYS else (place.package, place.die)
        name = domain_id(event.kind, package, die)
        zone = zones.get(name)
        self.cpu = place.cpu
        self.config = event.config
        self._uj_a_count = event.scale * 10**6
        self.domain = Domain(
            id=name,
            kind=event.kind,
            package=package,
            range_uj=_floor(2**64 - 1, self._uj_a_count),
            max_power_w=max_power_w(zone) if zone else FALLBACK_MAX_POWER_W[event.kind],
            path=f"{event.path} (CPU {place.cpu})",
            trusted_uj=TRUSTED_UJ,
            unit_nj=1000,
            step_nj=STEP_NJ[event.kind],
        )

    def microjoules(self, answer: bytes) -> int:
        """Whole microjoules since the event was opened."""
        return _floor(int.from_bytes(answer, sys.byteorder), self._uj_a_count)


def perf_event_open(pmu_type: int, config: tuple[int, int, int], cpu: int, *, machine: str = os.uname().machine) -> int:
    """A descriptor that counts an event on one CPU, whatever runs there (perf_event_open(2) with pid = -1).

    Args:
        pmu_type: number of the PMU.
        config: config, config1 and config2.
        cpu: the CPU that counts.
        machine: architecture, on which the number of the system call depends.

    Raises:
        MeterError: the number of the system call is not known for this architecture.
        OSError: the kernel refuses.
    """
    if machine not in _SYSCALLS:
        raise MeterError(f"the number of perf_event_open on {machine} is not known here. Cure: use powercap")
    # Importing ctypes takes longer than everything else here, and most users read powercap.
    import ctypes

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    words, word1, word2 = config
    attribute = _ATTRIBUTE.pack(pmu_type, _ATTRIBUTE.size, words, 0, 0, 0, 0, 0, 0, word1, word2)
    arguments = map(ctypes.c_long, (-1, cpu, -1, _CLOEXEC))
    descriptor = int(syscall(ctypes.c_long(_SYSCALLS[machine]), attribute, *arguments))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor


def _floor(counts: int, uj_a_count: Fraction) -> int:
    return counts * uj_a_count.numerator // uj_a_count.denominator


def _read(descriptor: int) -> bytes | str:
    """The eight bytes of a count, or why there are none."""
    try:
        answer = os.read(descriptor, _ANSWER)
    except OSError as error:
        return f"{error.strerror}. Cure: open the meter again"
    if len(answer) == _ANSWER:
        return answer
    return f"gave {len(answer)} bytes instead of {_ANSWER}: its CPU went offline? Cure: open the meter again"


def _cause(error: OSError, root: Path) -> str:
    """Why an event could not be opened, with the cure."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return (
                f"permission denied: counting for the whole machine needs CAP_PERFMON, or a level of at most 0 in "
                f"{root / PARANOID} (it is {_paranoid(root)}; a container may forbid it besides). "
                f"Cure: sudo sysctl kernel.perf_event_paranoid=0"
            )
        case errno.ENODEV | errno.ENXIO:
            return "its CPU is offline, or the PMU is gone. Cure: lscpu --extended, then open the meter again"
        case errno.ENOENT | errno.EINVAL | errno.EOPNOTSUPP:
            return f"the PMU does not know this event ({error.strerror}). Cure: {MODULE_CURE}, or use powercap"
        case errno.EMFILE | errno.ENFILE:
            allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return f"too many open files ({allowed} are allowed). Cure: close some, or ulimit -n {2 * allowed}"
        case errno.ENOSYS:
            return "this kernel or its sandbox has no perf_event_open. Cure: use powercap"
        case _:
            return f"{error.strerror}. Cure: see dmesg, or use powercap"


def _paranoid(root: Path) -> str:
    try:
        return (root / PARANOID).read_text(encoding="ascii").strip()
    except OSError:
        return "unreadable"
