"""A node in simulated time: it draws power by a law, sleeps at once, and every joule that it drew is known.

    node = SimulatedNode(tmp_path)
    commission(request, report, effects=node.effects())

Only the clock, sleeping and the load are made; counters, files, registers and the BMC's program are read for real.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.commission.bench import Effects
from sipa.energy.meter import EnergyMeter
from tests.jobs.host_tree import HostTree

TICK_NS = 1_000_000
BMC = """#!/bin/sh
[ "$1 $2" = "dcmi power" ] || exit 1
cat "{root}/bmc"
"""
_ANSWER = """
    Instantaneous power reading:                   {power:3.0f} Watts
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated
"""

Law = Callable[[str, float, bool], float]
"""(domain, seconds since the begin, whether the load runs) -> watts."""


def usual(domain: str, at_s: float, loaded: bool) -> float:
    """A quiet two-socket node at 165 W a socket."""
    if domain.startswith("pkg"):
        return {"pkg0": 165.0, "pkg1": 163.0}[domain] if loaded else {"pkg0": 48.0, "pkg1": 45.5}[domain]
    return {"dram0": 21.0, "dram1": 20.4}[domain] if loaded else {"dram0": 6.2, "dram1": 5.9}[domain]


class SimulatedNode:
    """A host tree, its counters and its time.

    Args:
        folder: where the tree is made.
        law: what it draws.
        noise: standard deviation of the power of a second, relative.
        bmc: watts that the node draws besides packages and DRAM; None: it has no BMC.
    """

    def __init__(self, folder: Path, law: Law = usual, *, noise: float = 0.0, bmc: float | None = 90.0) -> None:
        self.host = HostTree(folder)
        self.tree = self.host.powercap
        self.root = self.host.root
        for domain in self.tree.ids:
            self.tree.path(domain).chmod(0o640)
        self.loaded = False
        self._law = law
        self._noise = noise
        self._bmc = bmc
        self._random = random.Random(7)
        self._lock = threading.Lock()
        self._now_ns = 10**12
        self._shown_ns = self._now_ns
        self._meters: list[EnergyMeter] = []
        if bmc is not None:
            self.host.write("usr/bin/ipmitool", BMC.format(root=self.root.absolute())).chmod(0o755)
        self._show()

    def effects(self) -> Effects:
        """Simulated time, and a load that is only a state."""
        return Effects(clock_ns=self.clock_ns, sleep=self.sleep, load=self._load, meter=self._meter)

    def clock_ns(self) -> int:
        """Every look at the clock takes some microseconds; counters move every millisecond."""
        with self._lock:
            self._now_ns += self._random.randint(4_000, 12_000)
            if self._now_ns - self._shown_ns >= TICK_NS:
                self._advance(self._now_ns - (self._now_ns - self._shown_ns) % TICK_NS)
            return self._now_ns

    def sleep(self, length_s: float) -> None:
        """Let that much time pass; meters read at its end, as their threads would."""
        with self._lock:
            self._now_ns += round(length_s * 1e9)
            self._advance(self._now_ns)
            self._show()
        for meter in self._meters:
            meter.poll()

    def _advance(self, until_ns: int) -> None:
        seconds = (until_ns - self._shown_ns) / 1e9
        for domain in self.tree.ids:
            power_w = self._power_w(domain) * self._random.gauss(1.0, self._noise)
            self.tree.advance(domain, power_w * seconds)
        self._shown_ns = until_ns

    def _power_w(self, domain: str) -> float:
        return self._law(domain, self._shown_ns / 1e9 - 1000, self.loaded)

    def _show(self) -> None:
        """What is not a counter."""
        power_w = sum(self._power_w(domain) for domain in self.tree.ids)
        self.host.write("bmc", _ANSWER.format(power=power_w + (self._bmc or 0.0)))
        for package in (0, 1):
            self.host.set_temperature(package, 34 + 0.22 * self._power_w(f"pkg{package}"))
        busy = round(self._shown_ns / 1e7)
        self.tree.set_cpu_times(busy=busy if self.loaded else busy // 1000, idle=busy)

    def _meter(self, sources: Sequence[str], **options: Any) -> EnergyMeter:
        meter = EnergyMeter(sources, **options)
        self._meters.append(meter)
        return meter

    @contextmanager
    def _load(self) -> Iterator["SimulatedLoad"]:
        self.loaded = True
        try:
            yield SimulatedLoad()
        finally:
            self.loaded = False


class SimulatedLoad:
    """A load that never fails."""

    cpus = (0, 1, 2, 3)

    def check(self) -> None:
        """It still runs."""
