"""What is read of a host: from a made tree, and null where a file is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import host_state
from jobs.environment import code_version, differing, fingerprint, identify
from jobs.lock import NAME, default_path, exclusive
from jobs.order import read_order, write_order
from jobs.preflight import Check, CheckState, checks, refused, verify_host
from jobs.workload import implementation, kinds
from sipa.errors import HostError, UsageError
from sipa.workloads import WORKLOADS
from tests.jobs.orders import command_order, measurement
from tests.sipa.energy.powercap_tree import PowercapTree


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_temperature_throttling_and_kills_are_read_by_package(tmp_path: Path) -> None:
    for cpu, package in enumerate("0011"):
        folder = f"sys/devices/system/cpu/cpu{cpu}"
        write(tmp_path, **{f"{folder}/topology/physical_package_id": package})
        write(tmp_path, **{f"{folder}/thermal_throttle/package_throttle_count": str(10 * int(package) + 3)})
    for zone, (kind, temperature) in enumerate(
        [("x86_pkg_temp", "41000"), ("x86_pkg_temp", "52500"), ("acpitz", "99000")]
    ):
        write(tmp_path, **{f"sys/class/thermal/thermal_zone{zone}/type": kind})
        write(tmp_path, **{f"sys/class/thermal/thermal_zone{zone}/temp": temperature})
    write(tmp_path, **{"proc/vmstat": "pgfault 1\noom_kill 7\n"})
    state = host_state.read(tmp_path)
    assert state == host_state.HostState(temperature_c=52.5, throttle_events=16, oom_kills=7)
    assert host_state.columns(state, state) == {"temperature_start_c": 52.5, "throttle_events": 0}


def test_what_cannot_be_read_is_null(tmp_path: Path) -> None:
    state = host_state.read(tmp_path)
    assert state == host_state.HostState(temperature_c=None, throttle_events=None, oom_kills=None)
    assert host_state.columns(state, state) == {"temperature_start_c": None, "throttle_events": None}
    found = fingerprint(tmp_path)
    assert found["governor"] is found["cpu_model"] is found["turbo"] is None


def test_the_fingerprint_is_json_and_the_same_twice() -> None:
    found = fingerprint(Path("/"))
    assert json.loads(json.dumps(found)) == found == fingerprint(Path("/"))
    assert identify(Path("/")).columns["environment_id"] == identify(Path("/")).columns["environment_id"]
    assert code_version()


def test_differences_are_named_down_to_the_package() -> None:
    one = {"kernel": "6.1", "packages": {"torch": "2.13.0", "numpy": "2.4"}}
    other = {"kernel": "6.2", "packages": {"torch": "2.14.0", "numpy": "2.4"}}
    assert differing(one, other) == ["kernel: 6.1 became 6.2", "packages.torch: 2.13.0 became 2.14.0"]


def test_every_kind_that_is_declared_has_an_implementation() -> None:
    assert set(kinds()) == set(WORKLOADS)
    assert all(callable(implementation(kind)) for kind in kinds())


def test_an_order_comes_back_as_it_was_written(tmp_path: Path) -> None:
    order = command_order(tmp_path, "true {x} {y}", parameters={"x": 1, "y": True, "z": 0.5, "t": "1"})
    write_order(order)
    assert read_order(order.file) == order
    assert {name: type(value) for name, value in read_order(order.file).trial.treatment.parameters.items()} == {
        "command": str,
        "x": int,
        "y": bool,
        "z": float,
        "t": str,
    }


@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_a_file_that_is_no_order_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "trial.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"trial\.json"):
        read_order(path)
    ended = subprocess.run(
        [sys.executable, "-m", "jobs", "run", str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_trial_runs_by_hand(tmp_path: Path) -> None:
    order = command_order(tmp_path, f"{sys.executable} -c pass")
    write_order(order)
    ended = subprocess.run(
        [sys.executable, "-m", "jobs", "run", str(order.file)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["columns"]["work_units_measured"] == 1


def test_the_lock_is_the_one_that_is_there_whoever_made_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    assert default_path((first, second)) == first / NAME
    (second / NAME).touch(0o444)
    assert default_path((first, second)) == second / NAME
    with pytest.raises(HostError, match="touch"):
        default_path((tmp_path / "nowhere",))


def test_a_lock_file_of_another_user_locks_as_well(tmp_path: Path) -> None:
    """Reading is enough for flock: root's file keeps a user out, and the other way round."""
    path = tmp_path / NAME
    path.touch(0o444)
    with (
        exclusive(path, waiting=lambda _: None, give_up=lambda: False),
        pytest.raises(HostError, match="holds the lock"),
        exclusive(path, waiting=lambda _: None, give_up=lambda: True),
    ):
        pytest.fail("both hold the lock")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be two users")
def test_two_users_share_one_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    with exclusive(tmp_path / NAME, waiting=lambda _: None, give_up=lambda: False):
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                with exclusive(tmp_path / NAME, waiting=lambda _: None, give_up=lambda: True):
                    os._exit(1)
            except HostError as error:
                os._exit(0 if "holds the lock" in str(error) else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_preflight_finds_counters_or_says_what_is_missing(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path / "tree")
    with_counters, without = checks(tree.root), checks(tmp_path / "empty")
    assert not refused(with_counters)
    assert refused(without)
    assert {check.state for check in with_counters if "counters" in check.name} == {CheckState.OK}
    for check in (*with_counters, *without):
        assert isinstance(check, Check)
        assert check.why
        assert check.cure or check.state is not CheckState.FAIL


@pytest.mark.parametrize(
    ("asked", "host", "words"),
    [
        (
            {"governor": "performance"},
            {"governor": "powersave", "turbo": None},
            "cpupower frequency-set -g performance",
        ),
        ({"governor": "performance"}, {"governor": None, "turbo": None}, "leave the key out"),
        ({"turbo": False}, {"governor": None, "turbo": True}, "echo 1 .* no_turbo|echo 1"),
        ({"turbo": True}, {"governor": None, "turbo": None}, "leave the key out"),
    ],
)
def test_a_host_in_another_state_than_asked_is_refused(asked: dict, host: dict, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(HostError, match=words):
        verify_host(measurement(**asked), host)


def test_a_host_in_the_state_that_is_asked_for_is_taken() -> None:
    verify_host(measurement(), {"governor": "powersave", "turbo": None})
    verify_host(measurement(governor="performance", turbo=False), {"governor": "performance", "turbo": False})
