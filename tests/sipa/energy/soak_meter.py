"""A meter under load, in a process of its own: carries out a schedule of window edges and says what it found.

    python -m tests.sipa.energy.soak_meter < schedule.json > windows.json

Edges are shared out among threads, so a window begins in one and ends in another. Each call is bracketed by the
clock: the counters were read at some time in between, however busy the machine was.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipa.energy import EnergyMeter, EnergyWindow, Token

THREADS = 8
ALERT_NS = 150_000
"""How long before an edge a thread begins to watch the clock."""


@dataclass(slots=True)
class Made:
    """A window, with the clock before and after the calls that began and ended it."""

    begin: tuple[int, int] = (0, 0)
    end: tuple[int, int] = (0, 0)
    energy: EnergyWindow | None = None

    def facts(self) -> dict[str, Any]:
        assert self.energy is not None
        names = ("joules", "uncertainty_j", "wraps", "flags", "reason")
        domains = {
            domain: {name: getattr(each, name) for name in names} for domain, each in self.energy.by_domain.items()
        }
        times = {"begin_ns": self.energy.begin_ns, "end_ns": self.energy.end_ns}
        return {"begin": self.begin, "end": self.end, "domains": domains, **times}


class Bench:
    """The windows of one meter."""

    def __init__(self, meter: EnergyMeter) -> None:
        self._meter = meter
        self._tokens: dict[int, Token] = {}
        self._begun: dict[int, threading.Event] = {}
        self.windows: dict[int, Made] = {}
        self.failures: list[str] = []

    def carry_out(self, edges: Sequence[tuple[int, str, int]]) -> None:
        """Every edge at its time, from several threads.

        Args:
            edges: when, `begin`, `end` or `poll`, and which window.
        """
        self._begun = {number: threading.Event() for _, _, number in edges}
        self.windows = {number: Made() for _, what, number in edges if what == "begin"}
        shares = [edges[first::THREADS] for first in range(THREADS)]
        threads = [threading.Thread(target=self._share, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _share(self, edges: Sequence[tuple[int, str, int]]) -> None:
        try:
            for at_ns, what, number in edges:
                _wait_until(at_ns)
                self._edge(what, number)
        except Exception as error:  # noqa: BLE001 - a thread's death must not pass unnoticed
            self.failures.append(repr(error))

    def _edge(self, what: str, number: int) -> None:
        if what == "poll":
            self._meter.poll()
        elif what == "begin":
            before_ns = time.monotonic_ns()
            self._tokens[number] = self._meter.begin(str(number))
            self.windows[number].begin = (before_ns, time.monotonic_ns())
            self._begun[number].set()
        else:
            self._begun[number].wait(60)
            token = self._tokens.pop(number)
            before_ns = time.monotonic_ns()
            self.windows[number].energy = self._meter.end(token)
            self.windows[number].end = (before_ns, time.monotonic_ns())


def _wait_until(at_ns: int) -> None:
    """Sleep, then watch the clock without keeping other threads from running."""
    while (left_ns := at_ns - time.monotonic_ns()) > 0:
        time.sleep(max(0, left_ns - ALERT_NS) / 1e9)


def main() -> None:
    schedule = json.load(sys.stdin)
    with EnergyMeter(["powercap"], root=Path(schedule["root"])) as meter:
        bench = Bench(meter)
        bench.carry_out([(at_ns, what, number) for at_ns, what, number in schedule["edges"]])
        gaps_ns = {domain.id: domain.max_gap_ns for domain in meter.domains}
    windows = [bench.windows[number].facts() for number in sorted(bench.windows)]
    found = {"windows": windows, "max_gap_ns": gaps_ns, "failures": bench.failures}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
