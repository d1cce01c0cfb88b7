"""What a feeder feeds: counters with their range, their start and their power, read from and written as options.

A counter's value is a pure function of time, so the feeder may pause, be late, or be stopped and started again with
the same epoch: the next value that it writes is right.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.feeder.power import Power, age_of_energy, parse
from tests.sipa.energy.powercap_tree import FakeZone, Layout, PowercapTree

FOREVER_NS = 10**15
ZONES_FOLDER = "sys/devices/virtual/powercap"
FAULTS = {"empty": b"", "torn": b"1234"}
"""What the file of a counter may hold for a while instead of a number and a newline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One counter as the kernel shows it.

    Attributes:
        power: what drives it.
        count_nj: what one count is worth.
        turn: counts after which it starts from 0 again.
        start: its count at the epoch.
    """

    power: Power
    count_nj: int
    turn: int
    start: int

    @property
    def range_uj(self) -> int:
        """The largest value that it shows."""
        return (self.turn - 1) * self.count_nj // 1000

    def shows_uj(self, age_ns: int) -> int:
        """Its value that long after the epoch."""
        counts = (self.start + int(self.power.energy_nj(age_ns)) // self.count_nj) % self.turn
        return counts * self.count_nj // 1000

    def wraps(self, age_ns: int) -> int:
        """How often it has wrapped since the epoch."""
        return (self.start + int(self.power.energy_nj(age_ns)) // self.count_nj) // self.turn

    def wrap_age_ns(self, number: int, until_ns: int = FOREVER_NS) -> int:
        """When it wraps for the n-th time (from 1)."""
        return age_of_energy(self.power, (number * self.turn - self.start) * self.count_nj, until_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A counter's file that holds no number for a while.

    Attributes:
        kind: of `FAULTS`.
        domain: the counter.
        at_s: when, since the epoch.
        for_s: for how long.
    """

    kind: str
    domain: str
    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine to be fed; its options are its whole description.

    Attributes:
        root: the folder to build it in.
        power: power curve by domain, as text.
        layout: which zones there are.
        range_j: range of a counter in joules; without it 2^32 counts of its unit, as the kernel has it.
        left_j: energy from the epoch to a counter's first wrap.
        limit_w: declared power limit by domain.
        pauses: seconds since the epoch and for how long the feeder writes nothing.
        faults: what goes wrong meanwhile.
        hz: writes a second.
    """

    root: Path
    power: Mapping[str, str]
    layout: Layout = Layout.XEON_6240R
    range_j: Mapping[str, float] = field(default_factory=dict)
    left_j: Mapping[str, float] = field(default_factory=dict)
    limit_w: Mapping[str, float] = field(default_factory=dict)
    pauses: Sequence[tuple[float, float]] = ()
    faults: Sequence[Fault] = ()
    hz: float = 1000.0

    @property
    def counters(self) -> dict[str, Counter]:
        """The counters that are fed."""
        zones = {zone.id: zone for zone in self.layout.zones}
        return {domain: self._counter(zones[domain], power) for domain, power in self.power.items()}

    def files(self, domain: str, name: str = "energy_uj") -> list[Path]:
        """A file of a domain: of every zone that shows its counter."""
        return [self.root / ZONES_FOLDER / each.folder / name for each in self.layout.zones if each.id == domain]

    def build(self) -> None:
        """Make the tree, unless it is there from an earlier run."""
        if (self.root / "sys").exists():
            return
        PowercapTree(self.root, layout=self.layout)
        for domain, counter in self.counters.items():
            for path in self.files(domain, "max_energy_range_uj"):
                path.write_text(f"{counter.range_uj}\n")
        for domain, limit_w in self.limit_w.items():
            for path in self.files(domain, "constraint_0_max_power_uw"):
                path.write_text(f"{round(limit_w * 1e6)}\n")
                path.with_name("constraint_0_name").write_text("long_term\n")

    def options(self) -> list[str]:
        """The command line that describes it."""
        mappings = {"--power": self.power, "--range": self.range_j, "--left": self.left_j, "--limit": self.limit_w}
        pairs = [(option, f"{key}={value}") for option, each in mappings.items() for key, value in each.items()]
        pairs += [("--pause", f"{at_s}:{for_s}") for at_s, for_s in self.pauses]
        pairs += [("--fault", f"{each.kind}:{each.domain}:{each.at_s}:{each.for_s}") for each in self.faults]
        pairs += [("--root", str(self.root)), ("--layout", self.layout), ("--hz", str(self.hz))]
        return [word for pair in pairs for word in pair]

    def _counter(self, zone: FakeZone, power: str) -> Counter:
        count_nj, turn = zone.unit_nj, zone.top_count + 1
        if zone.id in self.range_j:
            # The meter takes a range that is not the kernel's at its word: in microjoules.
            count_nj, turn = 1000, round(self.range_j[zone.id] * 1e6)
        left = round(self.left_j[zone.id] * 1e9) // count_nj if zone.id in self.left_j else turn - 1
        return Counter(power=parse(power), count_nj=count_nj, turn=turn, start=(turn - left) % turn)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that describe a machine."""
    parser.add_argument("--root", type=Path, required=True, help="folder to build the tree in")
    parser.add_argument("--layout", type=Layout, default=Layout.XEON_6240R, help=", ".join(Layout))
    parser.add_argument("--power", action="append", required=True, metavar="DOMAIN=CURVE", help="pkg0=165")
    parser.add_argument("--range", action="append", default=[], metavar="DOMAIN=J", help="range of the counter")
    parser.add_argument("--left", action="append", default=[], metavar="DOMAIN=J", help="energy until it wraps")
    parser.add_argument("--limit", action="append", default=[], metavar="DOMAIN=W", help="declared power limit")
    parser.add_argument("--pause", action="append", default=[], metavar="AT:FOR", help="seconds without a write")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:DOMAIN:AT:FOR", help=", ".join(FAULTS))
    parser.add_argument("--hz", type=float, default=1000.0)


def from_options(given: argparse.Namespace) -> Machine:
    """The machine that a command line describes."""
    return Machine(
        root=given.root,
        layout=given.layout,
        power=dict(each.split("=", 1) for each in given.power),
        range_j=_numbers(given.range),
        left_j=_numbers(given.left),
        limit_w=_numbers(given.limit),
        pauses=[(float(at_s), float(for_s)) for at_s, for_s in (each.split(":") for each in given.pause)],
        faults=[_fault(each) for each in given.fault],
        hz=given.hz,
    )


def _numbers(pairs: list[str]) -> dict[str, float]:
    return {key: float(value) for key, value in (pair.split("=") for pair in pairs)}


def _fault(text: str) -> Fault:
    kind, domain, at_s, for_s = text.split(":")
    if kind not in FAULTS:
        raise ValueError(f"{text!r}: faults are {', '.join(FAULTS)}")
    return Fault(kind=kind, domain=domain, at_s=float(at_s), for_s=float(for_s))
