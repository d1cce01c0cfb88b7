"""A live machine for tests: writes a fake powercap tree a thousand times a second, at a known power.

    python -m tests.feeder --root /dev/shm/fake --power pkg0=square:40:165:2.5 --power dram0=20 --range pkg0=1000

Counters follow a formula of CLOCK_MONOTONIC since an epoch (printed in the first line), so a late step, a pause or a
restart with the same epoch makes no error that lasts. `--steps` logs when each step began and ended.
"""

import argparse
import gc
import json
import os
import signal
import sys
import time
from array import array
from contextlib import suppress
from pathlib import Path

from tests.feeder.machine import FAULTS, Counter, Fault, Machine, add_options, from_options


class CounterFile:
    """The files that show one counter, kept open; written only when its value changes."""

    def __init__(self, machine: Machine, domain: str, counter: Counter) -> None:
        self.counter = counter
        self._files = [os.open(path, os.O_WRONLY) for path in machine.files(domain)]
        self._content = b""

    def show(self, age_ns: int) -> None:
        self.write(b"%d\n" % self.counter.shows_uj(age_ns))

    def write(self, content: bytes) -> None:
        """In place: who keeps the file open sees it change, and at no moment empty."""
        if content == self._content:
            return
        for file in self._files:
            os.pwrite(file, content, 0)
            if len(content) != len(self._content):
                os.ftruncate(file, len(content))
        self._content = content


class StepLog:
    """When each step began and ended: pairs of nanoseconds, flushed once a second, readable after a kill."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("ab") if path else None
        self._pending = array("q")
        self.steps = 0
        self.worst_ns = 0
        self._last_ns = 0

    def add(self, begin_ns: int, end_ns: int) -> None:
        if self._last_ns:
            self.worst_ns = max(self.worst_ns, end_ns - self._last_ns)
        self._last_ns = begin_ns
        self.steps += 1
        self._pending.extend((begin_ns, end_ns))
        if len(self._pending) >= 2000:
            self.flush()

    def flush(self) -> None:
        if self._file:
            self._file.write(self._pending.tobytes())
            self._file.flush()
        del self._pending[:]


class Until:
    """When to end: at a signal, after some time, or with the process that wanted it."""

    def __init__(self, seconds: float, parent: int) -> None:
        self._end_ns = time.monotonic_ns() + round(seconds * 1e9)
        self._parent = parent
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def reached(self, now_ns: int) -> bool:
        orphaned = self._parent and os.getppid() != self._parent
        return self._asked or now_ns >= self._end_ns or bool(orphaned)


class Feeding:
    """The steps of one run."""

    def __init__(self, machine: Machine, epoch_ns: int, log: StepLog) -> None:
        self._files = {domain: CounterFile(machine, domain, each) for domain, each in machine.counters.items()}
        self._faults = [(*_span_ns(epoch_ns, fault.at_s, fault.for_s), fault) for fault in machine.faults]
        self._pauses = [_span_ns(epoch_ns, *pause) for pause in machine.pauses]
        self._period_ns = round(1e9 / machine.hz)
        self._epoch_ns = epoch_ns
        self._log = log

    def step(self) -> int:
        """Write every counter once.

        Returns:
            When it began.
        """
        now_ns = time.monotonic_ns()
        if any(begin_ns <= now_ns < end_ns for begin_ns, end_ns in self._pauses):
            return now_ns
        broken = {fault.domain: fault for begin_ns, end_ns, fault in self._faults if begin_ns <= now_ns < end_ns}
        for domain, file in self._files.items():
            if domain in broken:
                file.write(_broken(broken[domain]))
            else:
                file.show(now_ns - self._epoch_ns)
        self._log.add(now_ns, time.monotonic_ns())
        return now_ns

    def run(self, until: Until) -> None:
        """Step on a grid of whole periods since the epoch; what was missed is not caught up."""
        now_ns = self.step()
        while not until.reached(now_ns):
            wait_ns = self._period_ns - (time.monotonic_ns() - self._epoch_ns) % self._period_ns
            time.sleep(wait_ns / 1e9)
            now_ns = self.step()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.feeder", description=__doc__)
    add_options(parser)
    parser.add_argument("--epoch-ns", type=int, help="of CLOCK_MONOTONIC; as printed by an earlier run, to go on")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--steps", type=Path, help="file for when each step began and ended (pairs of int64)")
    parser.add_argument("--parent", type=int, default=0, help="end when this is no longer the parent")
    given = parser.parse_args(arguments)
    machine = from_options(given)
    machine.build()
    _hurry()
    until = Until(given.seconds, given.parent)
    log = StepLog(given.steps)
    epoch_ns = given.epoch_ns or time.monotonic_ns()
    feeding = Feeding(machine, epoch_ns, log)
    feeding.step()
    _say(epoch_ns=epoch_ns)
    feeding.run(until)
    log.flush()
    _say(steps=log.steps, worst_step_ms=log.worst_ns / 1e6)


def _hurry() -> None:
    """Be woken in time on a busy machine, where that is allowed; no garbage collector in between."""
    gc.disable()
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _span_ns(epoch_ns: int, at_s: float, for_s: float) -> tuple[int, int]:
    begin_ns = epoch_ns + round(at_s * 1e9)
    return begin_ns, begin_ns + round(for_s * 1e9)


def _broken(fault: Fault) -> bytes:
    return FAULTS[fault.kind]


def _say(**facts: float) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
