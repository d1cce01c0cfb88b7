"""A thousand overlapping windows over a live fake machine, wraps where they hurt most: none may be silently wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Self

import pytest

from sipa.energy.readings import RAPL_UPDATE_NS
from tests.feeder.live import REPOSITORY, LiveMachine
from tests.feeder.machine import Fault, Machine
from tests.sipa.energy.soak import LATE_NS, NS, Found, Span, Tally, Windows, edges_at_wraps, judge, schedule

SEED = 20261120
DOMAINS = ("pkg0", "pkg1", "dram0", "dram1")

CALM = Windows(number=1000, from_s=4, until_s=130)
TROUBLED = Windows(number=150, from_s=134, until_s=190)

FAULTS = (
    Fault(kind="empty", domain="pkg1", at_s=140, for_s=0.5),
    Fault(kind="torn", domain="dram0", at_s=145, for_s=0.3),
    Fault(kind="empty", domain="pkg0", at_s=175, for_s=6.0),
)
"""One lasts longer than the longest gap that is safe, so nothing that holds it can be known."""
PAUSE_S = (150.0, 0.5)
STOPS_S = ((155.0, 7.0), (166.0, 1.0))
"""The meter's process is stopped: for longer than a whole turn of the counters, and harmlessly."""
STOOD_STILL_NS = NS
"""Not even a process of real-time priority ran for so long."""
REASONS = ("passed between two reads", "could not be read")


def machine(folder: Path) -> Machine:
    """Two sockets whose counters wrap every six to ten seconds, two of them nearly at once.

    A read may be 3 s late before a wrap could be missed; the guard reads every 0.76 s, an eighth of a turn of pkg1
    and dram1, which wrap a drifting 0.15 ms apart.
    """
    return Machine(
        root=folder,
        power={
            "pkg0": "sine:90:60:7+steps:0=0,40=15,90=5",
            "pkg1": "165",
            "dram0": "square:10:41:5",
            "dram1": "41.249",
        },
        range_j={"pkg0": 1000, "pkg1": 1000, "dram0": 250, "dram1": 250},
        left_j={"pkg0": 300, "pkg1": 500, "dram0": 100, "dram1": 125},
        faults=FAULTS,
        pauses=(PAUSE_S,),
    )


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: a disk would hold the feeder up."""
    folder = Path(tempfile.mkdtemp(prefix="sipa-soak-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


class MeterProcess:
    """The program that makes the windows, to be stopped and continued."""

    def __init__(self, live: LiveMachine, edges: Sequence[tuple[int, str, int]], folder: Path) -> None:
        self._answer = folder / "windows.json"
        request = json.dumps({"root": str(live.root), "edges": edges})
        with self._answer.open("wb") as answer:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.sipa.energy.soak_meter"],
                stdin=subprocess.PIPE,
                stdout=answer,
                cwd=REPOSITORY,
                text=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(request)
        self._process.stdin.close()

    def stop(self, at_ns: int, for_s: float) -> tuple[int, int]:
        """Stop the process for a while: from when until when it certainly stood."""
        time.sleep(max(0, at_ns - time.monotonic_ns()) / NS)
        self._process.send_signal(signal.SIGSTOP)
        while self._state() != "T":
            time.sleep(0.001)
        stopped_ns = time.monotonic_ns()
        time.sleep(for_s)
        continued_ns = time.monotonic_ns()
        self._process.send_signal(signal.SIGCONT)
        return stopped_ns, continued_ns

    def _state(self) -> str:
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def answer(self) -> dict[str, Any]:
        """What it found."""
        assert self._process.wait() == 0
        found: dict[str, Any] = json.loads(self._answer.read_text())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()


def spans(live: LiveMachine, stops: Sequence[tuple[int, int]]) -> list[Span]:
    """What was done on purpose."""
    found = [Span(what="stop", begin_ns=begin, end_ns=end, domains=DOMAINS) for begin, end in stops]
    planned = [(fault.kind, fault.at_s, fault.for_s, (fault.domain,)) for fault in FAULTS]
    for what, at_s, for_s, domains in [*planned, ("pause", *PAUSE_S, DOMAINS)]:
        begin_ns, end_ns = live.steps.done_from_ns(live.at_ns(at_s)), live.at_ns(at_s + for_s)
        found.append(Span(what=what, begin_ns=begin_ns, end_ns=end_ns, domains=domains))
    return found


def held_up(live: LiveMachine, each: Found) -> bool:
    """Whether the machine stood still in this window: the feeder, whose counter then leapt, or the meter as well."""
    limit_ns = LATE_NS if each.joules is not None else STOOD_STILL_NS
    return any(each.begin[0] < end and begin < each.end[1] for begin, end in live.steps.late(limit_ns))


def share(which: Iterable[bool]) -> str:
    each = list(which)
    return f"{sum(each) / len(each):.2%}"


def table(live: LiveMachine, calm: Sequence[Found], troubled: Sequence[Found], excused: int) -> str:
    tally = Tally()
    known = [each for each in calm if each.joules is not None]
    tally.add("windows", len({each.window for each in [*calm, *troubled]}))
    tally.add("wraps crossed, all accounted for", sum(each.wraps for each in [*calm, *troubled] if each.joules))
    tally.add("edges within 0.2 ms of a wrap", edges_at_wraps(live, calm))
    tally.add("edges during which a counter wrapped", edges_at_wraps(live, calm, 0))
    tally.add("feeder: steps", len(live.steps.begins_ns))
    tally.add("feeder: worst step", f"{live.steps.worst_ns / 1e6:.3g} ms")
    tally.add("feeder: steps later than 2 ms", len(live.steps.late(LATE_NS)))
    tally.add("worst relative error", f"{max(each.error for each in known) * 100:.3g} %")
    tally.add("within 0.1 % without any allowance", share(each.error <= 1e-3 for each in known))
    tally.add("within the uncertainty that is stated", share(each.as_certain_as_stated for each in known))
    for name, windows in [("calm", calm), ("on purpose", troubled)]:
        tally.add(f"{name}: windows", len({each.window for each in windows}))
        tally.add(f"{name}: flagged", len({each.window for each in windows if each.flags}))
        tally.add(f"{name}: unavailable", len({each.window for each in windows if each.joules is None}))
    tally.add("calm: excused, the machine stood still", excused)
    return str(tally)


@pytest.mark.slow
@pytest.mark.timeout(360)
def test_soak(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveMachine(machine(memory / "machine")) as live:
        edges = schedule(live, [CALM, TROUBLED], SEED)
        with MeterProcess(live, edges, memory) as meter:
            stops = [meter.stop(live.at_ns(at_s), for_s) for at_s, for_s in STOPS_S]
            answer = meter.answer()
    assert answer["failures"] == []
    found = list(judge(live, answer["windows"]))
    calm = [each for each in found if each.window < CALM.number]
    troubled = [each for each in found if each.window >= CALM.number]
    # A counter that is updated in time, as the stated uncertainty supposes.
    fresh = [each for each in calm if each.joules is not None and each.stale_ns <= RAPL_UPDATE_NS]
    assert len(fresh) > len(calm) / 10
    assert [each for each in fresh if not each.as_certain_as_stated] == []
    marked = [each for each in calm if each.marked]
    excused = {each.window for each in marked if held_up(live, each)}
    with capsys.disabled():
        sys.stdout.write(f"\n{table(live, calm, troubled, len(excused))}\n")

    assert [each for each in found if not each.true] == []
    assert len({each.window for each in marked} - excused) <= CALM.number / 100
    for each in found:
        assert each.joules is not None or each.reason
    assert_unknown_where_it_cannot_be_known(spans(live, stops), troubled, answer["max_gap_ns"])


def assert_unknown_where_it_cannot_be_known(
    spans: Sequence[Span], troubled: Sequence[Found], max_gap_ns: dict[str, int]
) -> None:
    """What holds a span in which a wrap could hide, or has an edge where the file held no number."""
    reasons = Counter[str]()
    for span, each in product(spans, troubled):
        hides = span.what != "pause" and span.end_ns - span.begin_ns > max_gap_ns[each.domain]
        unreadable = span.what in ("empty", "torn") and each.has_edge_in(span)
        if unreadable or (hides and each.holds(span)):
            assert each.joules is None, (span, each)
            reasons.update(reason for reason in REASONS if reason in (each.reason or ""))
    assert set(reasons) == set(REASONS)


SHORT = Windows(number=40, from_s=0.5, until_s=5.5, longest_s=3.0)


@pytest.mark.parametrize("range_j", [{}, dict.fromkeys(DOMAINS, 700)], ids=["range-of-the-kernel", "short-range"])
def test_a_short_soak(memory: Path, range_j: dict[str, float]) -> None:
    """With the kernel's range each counter wraps once; the guard would read after a minute and never does."""
    live_machine = Machine(
        root=memory / "machine",
        power={"pkg0": "square:60:160:1", "pkg1": "165", "dram0": "20", "dram1": "sine:15:10:3"},
        range_j=range_j,
        left_j={"pkg0": 300, "pkg1": 500, "dram0": 60, "dram1": 45},
    )
    with LiveMachine(live_machine) as live, MeterProcess(live, schedule(live, [SHORT], SEED), memory) as meter:
        answer = meter.answer()
    found = list(judge(live, answer["windows"]))
    assert answer["failures"] == []
    assert [each for each in found if not each.true] == []
    assert any(each.wraps for each in found)
