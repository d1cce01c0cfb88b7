"""The fingerprint: what of a host is in it, what is not, and how differences are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.environment import code_version, differing, environment_id, fingerprint, identify
from jobs.host import knobs
from tests.jobs.host_tree import CPU, HostTree
from tests.jobs.orders import measurement


def test_a_node_is_described(tmp_path: Path) -> None:
    found = fingerprint(HostTree(tmp_path).root)
    expected = {
        "cpu_model": "Intel(R) Xeon(R) Gold 6240R CPU @ 2.40GHz",
        "microcode": "0x5003707",
        "cpus": 4,
        "sockets": 2,
        "smt": "on",
        "hypervisor": False,
        "governor": "powersave",
        "frequency_driver": "intel_pstate",
        "energy_performance_preference": "balance_performance",
        "energy_performance_bias": "6",
        "turbo": True,
        "memory_bytes": 201326592000,
        "numa_nodes": 2,
        "numa_balancing": "0",
        "transparent_hugepages": "madvise",
        "clock_source": "tsc",
        "energy_filter": False,
        "firmware": {
            "sys_vendor": "Dell Inc.",
            "product_name": "PowerEdge R740",
            "bios_vendor": "Dell Inc.",
            "bios_version": "2.19.1",
            "bios_date": "06/04/2023",
        },
        "idle_states": {
            "driver": "intel_idle",
            "governor": "menu",
            "states": ["POLL", "C1", "C1E", "C6"],
            "disabled": {},
        },
    }
    assert {name: found[name] for name in expected} == expected
    assert len(found["dimms"]) == 12
    assert found["dimms"]["mc1/dimm5"] == "16384 MiB, Registered-DDR4, CPU_SrcID#1_MC#1_Chan#2_DIMM#0"
    assert found["power_limits"]["pkg1"] == {
        "long_term": {"power_w": 165.0, "window_s": 0.999424},
        "short_term": {"power_w": 198.0, "window_s": 0.007808},
    }


def test_what_identifies_a_machine_and_permissions_are_not_in_it(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    before = json.dumps(fingerprint(tree.root))
    assert "SECRET" not in before
    assert "4c4c4544" not in before
    tree.write("proc/sys/kernel/perf_event_paranoid", "0\n")
    tree.powercap.path("pkg0").chmod(0o400)
    tree.powercap.advance("pkg0", 100.0)
    tree.set_temperature(0, 80)
    tree.set_throttling(0, thermal=5)
    tree.write("proc/sys/kernel/random/boot_id", "another\n")
    tree.write("proc/loadavg", "9 9 9 9/9 9\n")
    assert json.dumps(fingerprint(tree.root)) == before


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (f"{CPU}/cpu3/cpuidle/state3/disable", "1", "idle_states.disabled.C6: nothing became 1"),
        ("sys/class/dmi/id/bios_version", "2.20.0", "firmware.bios_version: 2.19.1 became 2.20.0"),
        ("sys/devices/system/edac/mc/mc0/dimm3/size", "0", "dimms.mc0/dimm3: 16384 MiB, Registered-DDR4, "),
        (f"{CPU}/cpufreq/policy2/scaling_governor", "performance", "governor: powersave became performance, powersave"),
        (f"{CPU}/intel_pstate/no_turbo", "1", "turbo: true became false"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", "clock_source: tsc became hpet"),
        ("proc/cpuinfo", "flags\t: fpu hypervisor\n", "hypervisor: false became true"),
    ],
)
def test_a_change_is_named(tmp_path: Path, file: str, content: str, said: str) -> None:
    tree = HostTree(tmp_path)
    before = fingerprint(tree.root)
    tree.write(file, content)
    assert any(each.startswith(said) for each in differing(before, fingerprint(tree.root)))


def test_a_power_limit_that_was_lowered_is_named(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    before = fingerprint(tree.root)
    tree.powercap.path("pkg0", "constraint_0_power_limit_uw").write_text("125000000\n")
    assert differing(before, fingerprint(tree.root)) == ["power_limits.pkg0.long_term.power_w: 165.0 became 125.0"]


def test_ranks_stand_for_modules_where_the_driver_has_those(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    for package in (0, 1):
        folder = tree.path(f"sys/devices/system/edac/mc/mc{package}")
        for module in list(folder.iterdir()):
            module.rename(folder / module.name.replace("dimm", "rank"))
    assert set(fingerprint(tree.root)["dimms"]) == {f"mc{mc}/rank{slot}" for mc in (0, 1) for slot in range(6)}


def test_what_cannot_be_read_is_null(tmp_path: Path) -> None:
    found = fingerprint(tmp_path)
    missing = ("governor", "cpu_model", "turbo", "firmware", "dimms", "power_limits", "idle_states", "energy_filter")
    assert {found[name] for name in missing} == {None}
    assert found["numa_nodes"] is found["clock_source"] is found["sockets"] is None


def test_threads_that_the_users_variables_ask_for_are_in_it(tmp_path: Path) -> None:
    found = fingerprint(tmp_path, {"OMP_NUM_THREADS": "4", "HOME": "/root"})
    assert found["thread_variables"]["OMP_NUM_THREADS"] == "4"
    assert "HOME" not in found["thread_variables"]


def test_the_identity_is_read_after_the_knobs_were_set(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    as_it_was = identify(tree.root)
    with knobs(measurement(governor="performance", turbo=False), root=tree.root):
        found = identify(tree.root)
    assert found.environment["governor"] == "performance"
    assert found.environment["turbo"] is False
    assert found.columns["environment_id"] != as_it_was.columns["environment_id"]
    assert identify(tree.root) == as_it_was
    assert as_it_was.columns["commission_id"] is None
    assert {"node_uid", "boot_id", "code_version", "cpu_model"} < set(as_it_was.columns)


def test_the_fingerprint_of_this_machine_is_json_and_the_same_twice() -> None:
    found = fingerprint(Path("/"))
    assert json.loads(json.dumps(found)) == found == fingerprint(Path("/"))
    assert identify(Path("/")).columns["environment_id"] == identify(Path("/")).columns["environment_id"]
    assert code_version()


def test_differences_are_named_down_to_the_package() -> None:
    one = {"kernel": "6.1", "packages": {"torch": "2.13.0", "numpy": "2.4"}}
    other = {"kernel": "6.2", "packages": {"torch": "2.14.0", "numpy": "2.4"}}
    assert differing(one, other) == ["kernel: 6.1 became 6.2", "packages.torch: 2.13.0 became 2.14.0"]


def test_a_group_that_one_side_lacks_is_named_once() -> None:
    firmware = {"bios_version": "1", "bios_date": None}
    assert differing({}, {"firmware": firmware}) == [
        'firmware: nothing became {"bios_version": "1", "bios_date": null}'
    ]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1, max_size=3), _VALUES, max_size=4))
def test_nothing_differs_from_itself(values: dict[str, Any]) -> None:
    assert differing(values, json.loads(json.dumps(values))) == []


def test_what_only_root_can_read_makes_no_other_environment() -> None:
    one = {"cpu_model": "x", "energy_filter": None}
    assert environment_id(one) == environment_id({**one, "energy_filter": False})
    assert environment_id(one) != environment_id({**one, "cpu_model": "y"})
