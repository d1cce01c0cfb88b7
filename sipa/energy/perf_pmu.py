"""What sysfs says of the kernel's `power` PMU: its events with code and scale, and the CPU that counts each socket.

One count is 2^-32 J whatever the hardware's own unit is: the kernel has already converted it, with a unit for DRAM
that differs from powercap's (`crosscheck`).
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sipa.energy.counter_error import CounterError
from sipa.energy.readings import DomainKind
from sipa.energy.zones import counts_per_package
from sipa.errors import MeterError

PMU_FOLDER = "sys/bus/event_source/devices/power"

MODULE_CURE = "sudo modprobe rapl"
"""The command that makes the PMU appear (before Linux 5.8 the module was called intel_rapl_perf)."""

EVENTS = {
    "energy-pkg": DomainKind.PACKAGE,
    "energy-ram": DomainKind.DRAM,
    "energy-cores": DomainKind.CORE,
    "energy-gpu": DomainKind.UNCORE,
    "energy-psys": DomainKind.PSYS,
}
"""The events of arch/x86/events/rapl.c."""

_STRANGE = "The kernel writes no such thing. Cure: use powercap"

_FIELDS = ("config", "config1", "config2")
_FORMAT = re.compile(r"(config[12]?):(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)")
_TERM = re.compile(r"(\w+)(?:=(0x[0-9a-fA-F]+|\d+))?")
_DECIMAL = re.compile(r"\d+(\.\d+)?([eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PmuEvent:
    """One event of the PMU.

    Attributes:
        kind: what it counts.
        path: the file that describes it.
        config: the three configuration words of perf_event_attr.
        scale: joules a count, exactly as the decimal number in its file.
    """

    kind: DomainKind
    path: Path
    config: tuple[int, int, int]
    scale: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The CPU that counts for a package, or for a die where dies have counters of their own."""

    cpu: int
    package: int
    die: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPmu:
    """The PMU of a machine.

    Attributes:
        type: its number in perf_event_attr.
        places: the CPUs that count.
        events: what they count, packages first.
        problems: events that are there but cannot be used.
        ignored: CPUs that are left out, with the reason.
    """

    type: int
    places: tuple[Place, ...]
    events: tuple[PmuEvent, ...]
    problems: tuple[CounterError, ...]
    ignored: tuple[str, ...]


def read_pmu(root: Path) -> PowerPmu:
    """The `power` PMU below a root.

    Args:
        root: where `sys` and `proc` are.

    Raises:
        MeterError: there is none, or a file says something else than the kernel would.
    """
    folder = root / PMU_FOLDER
    if not folder.is_dir():
        raise MeterError(
            f"{folder}: does not exist: the kernel has no energy PMU here. On bare metal: {MODULE_CURE}. "
            f"A virtual machine has no such counter"
        )
    places, ignored = _places(root, _cpus(folder / "cpumask"))
    formats = {path.name: _bits(path) for path in sorted((folder / "format").glob("*"))}
    events: list[PmuEvent] = []
    problems: list[CounterError] = []
    for name, kind in EVENTS.items():
        path = folder / "events" / name
        if path.exists():
            try:
                events.append(_event(path, kind, formats))
            except MeterError as error:
                problems.append(CounterError(str(path), str(error), kind))
    if not problems and not any(event.kind is DomainKind.PACKAGE for event in events):
        raise MeterError(f"{folder}/events/energy-pkg: does not exist: the PMU counts no package. {_STRANGE}")
    return PowerPmu(
        type=_pmu_type(folder / "type"),
        places=places,
        events=tuple(events),
        problems=tuple(problems),
        ignored=ignored,
    )


def cpus_in(text: str) -> tuple[int, ...] | None:
    """CPUs in a kernel list such as `0,24` or `0-3,8`; None if it is no such list."""
    if not re.fullmatch(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*", text):
        return None
    spans = [part.split("-") for part in text.split(",")]
    return tuple(cpu for span in spans for cpu in range(int(span[0]), int(span[-1]) + 1))


def config_of(text: str, formats: Mapping[str, tuple[str, tuple[int, ...]]]) -> tuple[int, int, int]:
    """The configuration words of an event such as `event=0x02,umask=0x1`.

    Args:
        text: the event's file.
        formats: of every term its word and bits.

    Raises:
        ValueError: a term is malformed, unknown or too large for its bits.
    """
    words = dict.fromkeys(_FIELDS, 0)
    for term in text.split(","):
        match = _TERM.fullmatch(term)
        if not match or match[1] not in formats:
            raise ValueError(f"the term {term!r} is not one of {', '.join(formats) or 'an empty format folder'}")
        word, bits = formats[match[1]]
        value = int(match[2], 0) if match[2] else 1
        if value >> len(bits):
            raise ValueError(f"the term {term!r} needs more than its {len(bits)} bits")
        words[word] |= sum((value >> number & 1) << bit for number, bit in enumerate(bits))
    config, config1, config2 = words.values()
    return config, config1, config2


def scale_of(text: str) -> Fraction:
    """Joules a count, exactly: the kernel's 2.3283064365386962890625e-10 is 2^-32.

    Raises:
        ValueError: it is no positive decimal number.
    """
    if not _DECIMAL.fullmatch(text) or not (scale := Fraction(text)):
        raise ValueError(f"{text!r} is no positive decimal number")
    return scale


def _event(path: Path, kind: DomainKind, formats: Mapping[str, tuple[str, tuple[int, ...]]]) -> PmuEvent:
    unit = _text(path.with_name(f"{path.name}.unit"))
    if unit != "Joules":
        raise MeterError(f"its unit is {unit!r} instead of 'Joules'. {_STRANGE}")
    try:
        config, scale = config_of(_text(path), formats), scale_of(_text(path.with_name(f"{path.name}.scale")))
    except ValueError as error:
        raise MeterError(f"{error}. {_STRANGE}") from error
    return PmuEvent(kind=kind, path=path, config=config, scale=scale)


def _bits(path: Path) -> tuple[str, tuple[int, ...]]:
    """Which word and bits a term of the format stands for: `config:0-7`."""
    text = _text(path)
    match = _FORMAT.fullmatch(text)
    bits = cpus_in(match[2]) if match else None
    if not match or not bits or max(bits) > 63:
        raise MeterError(f"{path}: {text!r} is no format such as 'config:0-7'. {_STRANGE}")
    return match[1], bits


def _pmu_type(path: Path) -> int:
    text = _text(path)
    if not re.fullmatch(r"\d{1,9}", text):
        raise MeterError(f"{path}: {text!r} is no number. {_STRANGE}")
    return int(text)


def _cpus(path: Path) -> tuple[int, ...]:
    text = _text(path)
    cpus = cpus_in(text)
    if cpus is None:
        raise MeterError(
            f"{path}: {text!r} names no CPU, so nothing is counted. Cure: lscpu --extended: is a socket offline?"
        )
    return cpus


def _places(root: Path, cpus: tuple[int, ...]) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """Package and die of each CPU of the mask, and those that repeat another one's counter."""
    found = [(cpu, _topology(root, cpu, "physical_package_id")) for cpu in cpus]
    of_package = Counter(package for _, package in found)
    mirrored = counts_per_package(root)
    places: dict[tuple[int, int | None], Place] = {}
    ignored: list[str] = []
    for cpu, package in found:
        die = _topology(root, cpu, "die_id") if of_package[package] > 1 else None
        if mirrored and any(place.package == package for place in places.values()):
            ignored.append(f"CPU {cpu}: shows the counter of package {package} once more (AMD counts per socket)")
        elif twin := places.get((package, die)):
            raise MeterError(
                f"{root / PMU_FOLDER}/cpumask: CPU {cpu} and CPU {twin.cpu} both count package {package}. {_STRANGE}"
            )
        else:
            places[package, die] = Place(cpu=cpu, package=package, die=die)
    return tuple(sorted(places.values(), key=lambda place: (place.package, place.die or 0))), tuple(ignored)


def _topology(root: Path, cpu: int, name: str) -> int:
    path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/{name}"
    text = _text(path)
    if not re.fullmatch(r"\d{1,9}", text):
        raise MeterError(f"{path}: {text!r} is no number, so the socket of CPU {cpu} is not known. {_STRANGE}")
    return int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise MeterError(f"{path}: cannot be read: {error.strerror}. Cure: {MODULE_CURE}, or use powercap") from error
