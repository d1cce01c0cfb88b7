"""The load: it keeps CPUs busy, and it ends with whoever started it, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from jobs.commission.load import Load, available
from jobs.processes import session_processes
from sipa.errors import HostError

HOLDER = """
import sys, time
from jobs.commission.load import Load, available
with Load(available()[:1]) as load:
    print(load.leader, flush=True)
    time.sleep(600)
"""


def alive(session: int) -> list[int]:
    return [each.pid for each in session_processes(session) if each.alive]


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def ticks(session: int) -> int:
    return sum(each.cpu_ticks for each in session_processes(session))


def test_it_keeps_a_child_busy_on_each_cpu_and_leaves_none() -> None:
    cpus = available()
    with Load(cpus) as load:
        leader = load.leader or 0
        assert len(alive(leader)) == len(cpus) + 1
        before = ticks(leader)
        assert soon(lambda: ticks(leader) > before)
        load.check()
    assert alive(leader) == []


def test_it_ends_with_an_error_in_the_block() -> None:
    def fail() -> None:
        with Load(available()[:1]) as load:
            leaders.append(load.leader or 0)
            raise KeyboardInterrupt

    leaders: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert alive(leaders[0]) == []


@pytest.mark.parametrize("victim", ["leader", "child"])
def test_a_load_that_dies_is_noticed(victim: str) -> None:
    with Load(available()[:1]) as load:
        leader = load.leader or 0
        (child,) = set(alive(leader)) - {leader}
        os.kill(leader if victim == "leader" else child, signal.SIGKILL)
        assert soon(lambda: alive(leader) == [])
        with pytest.raises(HostError, match="ended by itself"):
            load.check()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_does_not_outlive_the_one_that_started_it(how: signal.Signals) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with holder:
        assert holder.stdout is not None
        leader = int(holder.stdout.readline())
        assert len(alive(leader)) == 2
        holder.send_signal(how)
        holder.wait()
    assert soon(lambda: alive(leader) == [])
