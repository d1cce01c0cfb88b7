"""Whose CPU time it was: ours, Ray's, others'."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import cpu_time
from jobs.cpu_time import CpuTimes, CpuUse, between, is_ray
from jobs.processes import processes, session_processes

SPENT = st.floats(0, 1e6)


@given(SPENT, SPENT, SPENT, SPENT, SPENT)
def test_no_share_is_negative_and_rays_is_part_of_the_foreign(
    busy: float, rest: float, own: float, start: float, ray: float
) -> None:
    begin = CpuTimes(busy_s=start, total_s=start, own_s=0.0, ray_s={(1, 1): 5.0})
    end = CpuTimes(busy_s=start + busy, total_s=start + busy + rest, own_s=own, ray_s={(1, 1): ray, (2, 7): ray})
    use = between(begin, end)
    assert use.foreign_s is not None
    assert use.ray_s is not None
    assert 0 <= use.ray_s <= use.foreign_s
    assert use.own_s == own
    assert use.utilisation is None or 0 <= use.utilisation <= 1


def test_unreadable_cpu_times_are_null_not_zero() -> None:
    nothing = CpuTimes(busy_s=None, total_s=None, own_s=0.0)
    assert between(nothing, nothing) == CpuUse(utilisation=None, foreign_s=None, ray_s=None, own_s=0.0)


def test_a_process_that_ended_and_one_that_has_its_number_again_are_two() -> None:
    begin = CpuTimes(busy_s=0.0, total_s=0.0, own_s=0.0, ray_s={(7, 100): 50.0, (8, 100): 1.0})
    end = CpuTimes(busy_s=10.0, total_s=20.0, own_s=0.0, ray_s={(7, 900): 0.5, (8, 100): 1.25})
    assert between(begin, end).ray_s == pytest.approx(0.75)


@pytest.mark.parametrize("name", ["raylet", "gcs_server", "ray::NodeWorker", "ray::IDLE", "ray-dashboard-D"])
def test_rays_own_processes_are_known_by_name(name: str) -> None:
    assert is_ray(name)


@pytest.mark.parametrize(
    ("script", "is_rays"),
    [
        ("/x/site-packages/ray/_private/log_monitor.py", True),
        ("/x/site-packages/ray/autoscaler/_private/monitor.py", True),
        ("/home/me/ray/train.py", False),
        ("", False),
    ],
)
def test_rays_monitors_are_known_by_their_script(script: str, is_rays: bool) -> None:
    assert is_ray("python3", lambda: ["/usr/bin/python3", "-u", script]) is is_rays
    assert not is_ray("bash", lambda: ["bash", script])


@pytest.mark.parametrize("name", ["python3", "array", "raytrace", "gcs_server2", ""])
def test_other_processes_are_not(name: str) -> None:
    assert not is_ray(name)


def test_a_process_is_read_whatever_its_name(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"], start_new_session=True)
    try:
        (found,) = session_processes(child.pid)
    finally:
        child.kill()
        child.wait()
    assert (found.pid, found.session, found.name, found.alive) == (child.pid, child.pid, "a) R 1 (b", True)
    assert found.own_ticks == found.cpu_ticks
    assert found.started_ticks > 0


def test_rays_and_own_time_are_found_in_one_look(tmp_path: Path) -> None:
    """A process that calls itself as Ray's workers do is Ray's, unless it is of the session."""
    name = "with open('/proc/self/comm', 'w') as file: file.write('ray::Test')"
    code = f"import time\n{name}\nwhile time.process_time() < .3: pass\nprint(1, flush=True)\ntime.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        theirs = cpu_time.read(Path("/"), os.getsid(0))
        own = cpu_time.read(Path("/"), child.pid)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert {pid: spent for (pid, _), spent in theirs.ray_s.items()}[child.pid] >= 0.25
    assert child.pid not in {pid for pid, _ in own.ray_s}
    assert own.own_s >= 0.25


def test_this_process_is_among_all() -> None:
    assert os.getpid() in {process.pid for process in processes()}
