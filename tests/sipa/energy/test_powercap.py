"""The powercap reader on good and on broken trees."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sipa.energy.powercap import FALLBACK_MAX_POWER_W, PowercapSource
from sipa.energy.readings import DomainKind
from sipa.errors import MeterError
from tests.sipa.energy.powercap_tree import Layout, PowercapTree
from tests.sipa.energy.process import descriptors, in_child


def opened(tree: PowercapTree) -> PowercapSource:
    return PowercapSource(tree.root)


def test_reads_every_counter(tree: PowercapTree) -> None:
    source = opened(tree)
    before = source.read()
    tree.advance("pkg0", 100)
    after = source.read()
    assert set(after.values_uj) == {"pkg0", "pkg1", "dram0", "dram1"}
    assert after.values_uj["pkg0"] - before.values_uj["pkg0"] == pytest.approx(100e6, abs=62)
    assert after.values_uj["pkg1"] == before.values_uj["pkg1"]
    assert before.begin_ns <= before.end_ns <= after.begin_ns
    source.close()


def test_the_time_of_a_reading_encloses_its_reads(tree: PowercapTree) -> None:
    ticks = iter([10, 20])
    source = PowercapSource(tree.root, clock=lambda: next(ticks))
    reading = source.read()
    assert (reading.begin_ns, reading.end_ns) == (10, 20)
    source.close()


def test_maximum_power_is_twice_the_largest_limit_or_a_stated_bound(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path / "intel")
    limits = {"constraint_1_name": "short_term", "constraint_1_max_power_uw": "198000000"}
    limits |= {"constraint_2_name": "peak_power", "constraint_2_max_power_uw": "396000000"}
    for name, content in limits.items():
        tree.path("pkg0", name).write_text(f"{content}\n")
    tree.path("pkg1", "constraint_0_max_power_uw").write_text("0\n")
    source = opened(tree)
    powers = {domain.id: domain.max_power_w for domain in source.domains}
    assert powers == {"pkg0": 396, "pkg1": FALLBACK_MAX_POWER_W[DomainKind.PACKAGE], "dram0": 82, "dram1": 82}
    source.close()


@pytest.mark.parametrize(
    ("long_w", "short_w", "expected_w"),
    [
        pytest.param(25, 61, 122, id="a notebook: Surface Pro 7"),
        pytest.param(4095, 4095, FALLBACK_MAX_POWER_W[DomainKind.PACKAGE], id="a desktop board without limits"),
        pytest.param(9, 10, 30, id="a limit that somebody lowered"),
    ],
)
def test_a_package_may_draw_what_its_limits_allow_and_not_only_what_it_is_sold_for(
    tmp_path: Path, long_w: int, short_w: int, expected_w: float
) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.CLIENT)
    limits = {"0_name": "long_term", "0_max_power_uw": "15000000", "0_power_limit_uw": f"{long_w}000000"}
    limits |= {"1_name": "short_term", "1_max_power_uw": "0", "1_power_limit_uw": f"{short_w}000000"}
    limits |= {"2_name": "peak_power", "2_max_power_uw": "0", "2_power_limit_uw": "5000000000"}
    for name, content in limits.items():
        tree.path("pkg0", f"constraint_{name}").write_text(f"{content}\n")
    source = opened(tree)
    assert {domain.id: domain.max_power_w for domain in source.domains}["pkg0"] == expected_w
    source.close()


def test_close_is_idempotent_and_open_comes_back(tree: PowercapTree) -> None:
    source = opened(tree)
    before = descriptors()
    source.close()
    source.close()
    assert len(before - descriptors()) == 4
    assert set(source.read().failures) == set(tree.ids)
    source.open()
    source.open()
    assert set(source.read().values_uj) == set(tree.ids)
    source.close()


def test_descriptors_are_not_inherited_by_programs(tree: PowercapTree) -> None:
    before = descriptors()
    source = opened(tree)
    mine = [fd for fd in descriptors() - before if os.path.realpath(f"/proc/self/fd/{fd}").endswith("energy_uj")]
    assert len(mine) == 4
    assert not any(map(os.get_inheritable, mine))
    source.close()


def test_no_powercap_at_all_says_so_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"sys/class/powercap: does not exist.*modprobe intel_rapl_msr"):
        PowercapSource(tmp_path)


def test_no_package_zone_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "sys/class/powercap/intel-rapl:a").mkdir(parents=True)
    with pytest.raises(MeterError, match=r"no RAPL package zone \(.*intel-rapl:a: is not named like a zone"):
        PowercapSource(tmp_path)


def test_a_missing_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"intel-rapl:0/max_energy_range_uj: shows no range"):
        opened(PowercapTree(tmp_path, layout=Layout.NO_RANGE))


def vanish(path: Path) -> None:
    path.unlink()


def fail_with_eio(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "holds b'' instead of a number"),
    "cut off": (lambda path: path.write_bytes(b"2621"), "holds b'2621' instead of a number and a newline"),
    "not a number": (lambda path: path.write_bytes(b"none\n"), "instead of a number"),
    "negative": (lambda path: path.write_bytes(b"-1\n"), "instead of a number"),
    "vanished": (vanish, "modprobe intel_rapl_msr"),
    "input/output error": (fail_with_eio, "input/output error"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_counter_that_is_broken_at_open_is_refused_by_name(tree: PowercapTree, how: str) -> None:
    damage, cause = BREAKS[how]
    damage(tree.path("dram1"))
    with pytest.raises(MeterError) as caught:
        opened(tree)
    assert str(tree.path("dram1")) in str(caught.value)
    assert cause in str(caught.value)
    assert "intel-rapl:0" not in str(caught.value)


@pytest.mark.parametrize("how", BREAKS)
def test_a_counter_that_breaks_later_is_a_failure_of_that_counter_only(tree: PowercapTree, how: str) -> None:
    source = opened(tree)
    BREAKS[how][0](tree.path("dram1"))
    reading = source.read()
    assert set(reading.failures) == {"dram1"}
    assert str(tree.path("dram1")) in reading.failures["dram1"]
    assert set(reading.values_uj) == {"pkg0", "pkg1", "dram0"}
    source.close()


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_counter_that_no_total_needs_is_left_out(tmp_path: Path, how: str) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.CLIENT)
    BREAKS[how][0](tree.path("psys"))
    source = opened(tree)
    assert [domain.id for domain in source.domains] == ["pkg0", "core0", "uncore0"]
    assert str(tree.path("psys")) in source.ignored[0]
    source.close()


def test_two_zones_of_one_name_are_refused(tree: PowercapTree) -> None:
    tree.path("pkg1", "name").write_text("package-0\n")
    with pytest.raises(MeterError, match="has the same name as"):
        opened(tree)


def test_an_unreadable_counter_names_the_group_cure_once_and_never_the_world() -> None:
    """As an unprivileged user; only root can become one, and anybody else is one already."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        tree = PowercapTree(Path(folder))
        for domain in tree.ids:
            tree.path(domain).chmod(0)
        message = refusal_as_nobody(tree)
    assert message.count("permission denied") == 1
    assert all(str(tree.path(domain)) in message for domain in tree.ids)
    assert "CVE-2020-8694" in message
    assert "chgrp sipa-energy" in message
    assert "0440" in message
    assert "a+r" not in message
    assert "0444" not in message


def refusal_as_nobody(tree: PowercapTree) -> str:
    """The message of the refusal to another user."""

    def attempt() -> str:
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            opened(tree)
        except MeterError as error:
            return str(error)
        return "opened"

    return str(in_child(attempt))
