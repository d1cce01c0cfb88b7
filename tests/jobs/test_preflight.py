"""The checks of a node: what each finds on a healthy made host, and what it says when one thing is wrong."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.commission.registry import folder_for, write
from jobs.environment import node_uid
from jobs.host import knobs
from jobs.lock import exclusive
from jobs.msr import IA32_MISC_PACKAGE_CTLS
from jobs.preflight import Check, CheckState, checks, refused
from jobs.preflight.check import cured
from jobs.preflight.company import company_checks
from jobs.preflight.energy import RULE_COMMANDS, energy_checks
from jobs.preflight.sweeps import sweep_checks
from sipa.energy import dcmi, powercap
from tests.jobs.host_tree import CPU, HostTree
from tests.jobs.orders import measurement
from tests.sipa.energy.powercap_tree import Layout
from tests.sipa.energy.process import in_child

NOBODY = 65534
DCMI = """\
    Instantaneous power reading:                   243 Watts
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated
"""


def found(tree: HostTree, **more: Path) -> dict[str, Check]:
    known = {"results": tree.root, "lock": tree.path("run/lock/sipa-rapl.lock")}
    return {check.name: check for check in checks(tree.root, **known | more)}


def states(tree: HostTree) -> dict[str, str]:
    return {name: str(check.state) for name, check in found(tree).items()}


def settle(tree: HostTree) -> None:
    """Let the node be as it should be."""
    tree.set_governor("performance")
    tree.write(f"{CPU}/intel_pstate/no_turbo", "1\n")
    tree.write("usr/bin/ipmitool", f"#!/bin/sh\ncat <<'E'\n{DCMI}E\n").chmod(0o755)
    write({"quick": False, "verdict": "ok"}, "", folder_for(node_uid(tree.root), tree.root), datetime.now(UTC))


def test_a_node_as_it_should_be(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    settle(tree)
    seen = found(tree)
    del seen["perf_event"]
    assert {name for name, check in seen.items() if check.state not in ("ok", "info")} == set()
    assert seen["node power"].found.startswith("243 W by DCMI")
    assert seen["counter range"].found == "the fastest needs at least 11.0 min to wrap"
    assert seen["temperature"].found == "38 °C, the hottest package"
    assert not refused(list(seen.values()))


def _chmod(mode: int) -> Callable[[HostTree], object]:
    return lambda tree: tree.powercap.path("pkg1").chmod(mode)


def _file(name: str, content: str) -> Callable[[HostTree], object]:
    return lambda tree: tree.write(name, content)


def _without(name: str) -> Callable[[HostTree], object]:
    return lambda tree: shutil.rmtree(tree.path(name))


SOCKET = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:1"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@pytest.mark.parametrize(
    ("spoil", "name", "state", "words"),
    [
        (_without("sys/class/powercap"), "counters", "ok", "readable"),
        (_chmod(0o444), "counters", "warn", "every user"),
        (_file(f"{SOCKET}/energy_uj", "nonsense"), "counters", "fail", "nonsense"),
        (_file(f"{SOCKET}/max_energy_range_uj", "1000000"), "counter range", "fail", "wraps within 0.00253 s"),
        (_without(SOCKET), "sockets", "fail", "package counters of 1 of 2"),
        (_without(f"{SOCKET}/intel-rapl:1:0"), "sockets", "warn", "DRAM counters of 1"),
        (lambda tree: tree.set_register(2, IA32_MISC_PACKAGE_CTLS, 1), "energy filter", "fail", "on"),
        (_without("dev/cpu/0"), "energy filter", "warn", "0xBC cannot be read"),
        (_file(f"{CPU}/cpufreq/policy1/scaling_governor", "ondemand"), "governor", "warn", "ondemand, performance"),
        (_without(f"{CPU}/cpufreq"), "governor", "ok", "none"),
        (_file(f"{CPU}/intel_pstate/no_turbo", "0"), "turbo", "warn", "on"),
        (_without(f"{CPU}/intel_pstate"), "turbo", "info", "not to be read"),
        (_file(f"{CPU}/cpu0/cpuidle/state3/disable", "1"), "idle states", "info", "disabled: C6"),
        (_without(f"{CPU}/cpu0/cpuidle"), "idle states", "info", "none (intel_idle"),
        (_file("proc/sys/kernel/numa_balancing", "1"), "NUMA balancing", "warn", "between 2 nodes"),
        (_file(CLOCK, "hpet"), "clock", "warn", "hpet"),
        (_without("sys/class/thermal"), "temperature", "warn", "cannot be read"),
        (_without(f"{CPU}/cpu0/thermal_throttle"), "throttling", "warn", "cannot be read"),
        (_file("proc/loadavg", "7.5 1 1 1/1 1"), "load", "warn", "7.50 on 4 CPUs"),
        (_file("proc/loadavg", ""), "load", "warn", "not known"),
        (_file("proc/swaps", "Filename\n/s partition 8388604 1048576 -2\n"), "swap", "warn", "1 GiB is swapped out"),
        (_file("proc/swaps", "Filename\n/s partition 8388604 0 -2\n"), "swap", "ok", "nothing swapped out"),
        (lambda tree: tree.start_process(7, "apt-get"), "periodic jobs", "warn", "apt-get (7) runs"),
        (lambda tree: tree.start_process(7, "tuned"), "power daemons", "warn", "tuned"),
    ],
)
def test_one_thing_wrong(
    tmp_path: Path, spoil: Callable[[HostTree], object], name: str, state: str, words: str
) -> None:
    tree = HostTree(tmp_path)
    settle(tree)
    spoil(tree)
    seen = found(tree)[name]
    assert (seen.state, words in seen.found) == (state, True), seen.found


def test_nothing_there_is_refused_and_says_what_to_type(tmp_path: Path) -> None:
    seen = {check.name: check for check in checks(tmp_path, results=tmp_path)}
    assert refused(list(seen.values()))
    assert seen["counters"].state is CheckState.FAIL
    assert "sudo modprobe intel_rapl_msr" in seen["counters"].commands
    assert "sockets" not in seen


def test_a_virtual_machine_gets_no_cures_that_cannot_work(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    for name in ("sys/class/powercap", "sys/devices/virtual/powercap", "dev/cpu", "sys/class/thermal"):
        shutil.rmtree(tree.path(name))
    tree.write("proc/cpuinfo", "flags\t: fpu hypervisor\n")
    seen = found(tree)
    assert seen["counters"].state is CheckState.FAIL
    assert "bare metal" in seen["counters"].cure
    assert seen["bare metal"].state is CheckState.WARN
    for name in ("perf_event", "node power", "energy filter", "temperature"):
        assert seen[name].state is CheckState.INFO
    told = [command for check in seen.values() if check.state != "info" for command in check.commands]
    assert not any("modprobe" in command for command in told)


def test_every_finding_has_its_reason_and_its_cure_in_valid_shell(tmp_path: Path) -> None:
    tree = HostTree(tmp_path, layout=Layout.CLIENT)
    tree.write("proc/loadavg", "9 9 9 9/9 9\n")
    tree.start_process(7, "thermald")
    for check in (*checks(tree.root, results=tmp_path), *checks(tmp_path / "nowhere", results=tmp_path)):
        assert check.why
        assert check.group
        assert check.cure or check.commands or check.state in ("ok", "info"), check.name
        for command in check.commands:
            subprocess.run(["bash", "-n", "-c", command], check=True)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_counters_that_only_root_may_read_are_given_to_a_group(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tree = HostTree(tmp_path)

    def as_nobody() -> object:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        check = next(iter(energy_checks(tree.root, {"hypervisor": False, "sockets": 2})))
        return [check.state, check.found, check.commands]

    state, words, commands = in_child(as_nobody)  # type: ignore[misc]
    assert state == "fail"
    assert "PLATYPUS" in words
    assert tuple(commands) == RULE_COMMANDS
    assert not any("a+r" in command or "o+r" in command for command in commands)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_folder_that_may_not_be_written_is_not_called_full(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)

    def as_nobody() -> object:
        os.setuid(NOBODY)
        check = next(each for each in sweep_checks(tmp_path, tmp_path, None) if each.name == "room for results")
        return [check.state, check.found, check.cure]

    expected = ["warn", f"this user may not write at {tmp_path}", "choose another place with --results"]
    assert in_child(as_nobody) == expected


@pytest.mark.parametrize(
    ("content", "state", "words"),
    [
        ({"verdict": "ok", "quick": False}, "ok", "verdict ok"),
        ({"verdict": "warn", "quick": True}, "info", "a shortened one"),
        ({"verdict": "fail", "quick": False}, "warn", "verdict fail"),
    ],
)
def test_a_commissioning_is_worth_what_it_says(tmp_path: Path, content: dict[str, Any], state: str, words: str) -> None:
    tree = HostTree(tmp_path)
    write(content, "", folder_for(node_uid(tree.root), tree.root), datetime.now(UTC))
    seen = found(tree)["commissioning"]
    assert (seen.state, words in seen.found) == (state, True), seen.found


def test_people_at_terminals_are_others(tmp_path: Path) -> None:
    """A process below a made root belongs to whoever runs this test."""
    tree = HostTree(tmp_path)
    pts, tty = 136 << 8, 4 << 8 | 1
    tree.start_process(100, "bash", session=100, tty=pts)
    tree.start_process(101, "vim", session=100, tty=pts)
    tree.start_process(102, "agetty", session=102, tty=tty)
    tree.start_process(103, "a) S 1 (b", session=103)

    def people(own: frozenset[int]) -> Check:
        return next(each for each in company_checks(tree.root, 4, own=own) if each.name == "people")

    assert people(frozenset({os.getuid()})).state is CheckState.OK
    seen = people(frozenset())
    assert seen.state is CheckState.WARN
    assert seen.found == f"bash (100) of user {os.getuid()}"


def test_ubuntus_sleeping_helper_is_no_job(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    helper = "python3 /usr/share/unattended-upgrades/unattended-upgrade-shutdown --wait-for-signal"
    tree.start_process(7, "unattended-upgr", command=helper)
    assert states(tree)["periodic jobs"] == "ok"
    tree.start_process(8, "unattended-upgr", command="python3 /usr/bin/unattended-upgrade")
    assert "(8)" in found(tree)["periodic jobs"].found


def test_the_lock_names_who_holds_it(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    lock = tree.write("run/lock/sipa-rapl.lock", "")
    with exclusive(lock, waiting=lambda _: None, give_up=lambda: True):
        seen = found(tree)["node's lock"]
        assert seen.state is CheckState.WARN
        assert f"process {os.getpid()} (" in seen.found
    assert found(tree)["node's lock"].state is CheckState.OK


def test_knobs_in_use_and_left_behind(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with knobs(measurement(governor="performance", turbo=False), root=tree.root):
        (journal,) = tree.path("run/lock").glob("*.jsonl")
        kept = journal.read_bytes()
        seen = found(tree)["knobs"]
        assert (seen.state, seen.found) == (CheckState.INFO, f"used by a sweep that runs (process {os.getpid()})")
    assert found(tree)["knobs"].state is CheckState.OK
    tree.set_governor("performance")
    journal.write_bytes(kept)
    seen = found(tree)["knobs"]
    assert seen.state is CheckState.WARN
    assert "scaling_governor = performance (4 files, before: powersave)" in seen.found
    assert seen.commands == ("sipa-cluster doctor --node --restore",)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("a: b. Cure: do it", ("a: b", "do it", ())),
        ("a: b", ("a: b", "", ())),
        (
            f"f: permission denied. Cure: {powercap.GROUP_CURE}",
            ("f: permission denied", "then log in again", RULE_COMMANDS),
        ),
        (f"no. Cure: {dcmi.INSTALL_CURE}", ("no", "", ("sudo apt install ipmitool",))),
        (
            f"no. Cure: {dcmi.MODULE_CURE} (a virtual machine has no BMC)",
            ("no", "a virtual machine has no BMC", ("sudo modprobe ipmi_devintf", "sudo modprobe ipmi_si")),
        ),
        (
            "f: missing. On bare metal: sudo modprobe rapl. A virtual machine has no such counter",
            ("f: missing", "", ("sudo modprobe rapl",)),
        ),
        (
            "no. Cure: sudo modprobe rapl, or use powercap",
            ("no", "use powercap", ("sudo modprobe rapl",)),
        ),
    ],
)
def test_messages_of_errors_become_cures_to_type(message: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    assert cured(message) == expected


def test_the_groups_rule_for_the_bmc_is_split_too() -> None:
    words, commands = cured(f"no. Cure: {dcmi.GROUP_CURE}")[1:]
    assert words.startswith("run as root, or:")
    assert commands[0] == "sudo groupadd -f sipa-energy"
    assert commands[-1] == "sudo udevadm trigger --subsystem-match=ipmi"
