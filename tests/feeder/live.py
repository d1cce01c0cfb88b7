"""A running feeder, and the truth about any window while it runs.

    with LiveMachine(Machine(root=folder, power={"pkg0": "165"})) as live:
        begin_ns = time.monotonic_ns()
        ...
        end_ns = time.monotonic_ns()
    live.energy_j("pkg0", begin_ns, end_ns)

The truth is the formula, shared through the options: nothing is asked of the feeder. Its log of steps says what a
reader can have seen at a given time, so a test allows for the steps that there were and not for those hoped for.
"""

import json
import os
import subprocess
import sys
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.feeder.machine import Machine

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Steps:
    """When the feeder wrote.

    Attributes:
        begins_ns: when each step took its time, of which all its values are.
        ends_ns: when it had written them all.
    """

    begins_ns: list[int]
    ends_ns: list[int]

    @property
    def worst_ns(self) -> int:
        """Longest time for which a reader may have seen the same value."""
        return max((end - begin for begin, end in zip(self.begins_ns, self.ends_ns[1:], strict=False)), default=0)

    def late(self, limit_ns: int) -> list[tuple[int, int]]:
        """Times without a write that were longer than that."""
        pairs = zip(self.begins_ns, self.ends_ns[1:], strict=False)
        return [(begin, end) for begin, end in pairs if end - begin > limit_ns]

    def seen_ns(self, begin_ns: int, end_ns: int) -> tuple[int, int]:
        """Of which times a value can be that was read at some time between these two."""
        oldest = bisect_right(self.ends_ns, begin_ns) - 1
        newest = bisect_left(self.begins_ns, end_ns) - 1
        if oldest < 0:
            raise ValueError("nothing had been written yet")
        return self.begins_ns[oldest], self.begins_ns[newest]

    def done_from_ns(self, moment_ns: int) -> int:
        """When the first step that knew of that moment was done."""
        return self.ends_ns[min(bisect_left(self.begins_ns, moment_ns), len(self.ends_ns) - 1)]

    def first_from_ns(self, moment_ns: int) -> int:
        """The step that shows what had happened by then."""
        return self.begins_ns[min(bisect_left(self.begins_ns, moment_ns), len(self.begins_ns) - 1)]


class LiveMachine:
    """A feeder in a process of its own, for the time of a `with` block.

    Args:
        machine: what it feeds.
        epoch_ns: of CLOCK_MONOTONIC, to go on where an earlier one stopped.
    """

    def __init__(self, machine: Machine, epoch_ns: int | None = None) -> None:
        self.machine = machine
        self.counters = machine.counters
        self.report: dict[str, float] = {}
        self._epoch_ns = epoch_ns
        self._log = machine.root / "steps"
        self._process: subprocess.Popen[str] | None = None
        self._steps: Steps | None = None

    @property
    def root(self) -> Path:
        """The `root` to give to a meter."""
        return self.machine.root

    @property
    def epoch_ns(self) -> int:
        """When all curves begin."""
        if self._epoch_ns is None:
            raise RuntimeError("the feeder has not begun yet")
        return self._epoch_ns

    @property
    def steps(self) -> Steps:
        """When the feeder wrote; known once it has ended."""
        if self._steps is None:
            times = array("q")
            times.frombytes(self._log.read_bytes()[: self._log.stat().st_size // 16 * 16])
            self._steps = Steps(list(times[::2]), list(times[1::2]))
        return self._steps

    def at_ns(self, age_s: float) -> int:
        """A time so many seconds after the epoch."""
        return self.epoch_ns + round(age_s * 1e9)

    def energy_j(self, domain: str, begin_ns: int, end_ns: int) -> float:
        """The energy of a window: the truth."""
        power = self.counters[domain].power
        return (power.energy_nj(end_ns - self.epoch_ns) - power.energy_nj(begin_ns - self.epoch_ns)) / 1e9

    def wraps_ns(self, domain: str, from_ns: int, until_ns: int) -> list[int]:
        """Every time at which a counter wraps."""
        counter = self.counters[domain]
        first, last = (counter.wraps(each - self.epoch_ns) for each in (from_ns, until_ns))
        return [self.epoch_ns + counter.wrap_age_ns(number) for number in range(first + 1, last + 1)]

    def wraps_between(self, domain: str, begin_ns: int, end_ns: int) -> int:
        """How often a counter wraps."""
        counter = self.counters[domain]
        return counter.wraps(end_ns - self.epoch_ns) - counter.wraps(begin_ns - self.epoch_ns)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.feeder", *self.machine.options(), "--steps", str(self._log)]
        command += ["--parent", str(os.getpid())]
        if self._epoch_ns is not None:
            command += ["--epoch-ns", str(self._epoch_ns)]
        self.machine.root.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        self._epoch_ns = round(self._answer()["epoch_ns"])
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self.report = self._answer()
            self._forget()

    def kill(self) -> None:
        """End the feeder without a word; it can be started again with the same epoch."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def _answer(self) -> dict[str, float]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the feeder has ended with {self._process.wait()}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
