"""Which zones of each machine stand for energy of their own."""

import shutil
from pathlib import Path

import pytest

from sipa.energy.zones import find_zones
from tests.sipa.energy.powercap_tree import Layout, PowercapTree

SERVER = ["pkg0", "pkg1", "dram0", "dram1"]
EXPECTED = {
    Layout.XEON_6240R: SERVER,
    Layout.WITH_PSYS: [*SERVER, "psys"],
    Layout.WITH_MMIO: SERVER,
    Layout.CASCADE_LAKE_AP: [
        *("pkg0die0", "pkg0die1", "pkg1die0", "pkg1die1"),
        *("dram0die0", "dram0die1", "dram1die0", "dram1die1"),
    ],
    Layout.ZEN_DIES: ["pkg0die0"],
    Layout.CLIENT: ["pkg0", "core0", "uncore0", "psys"],
    Layout.SWAPPED: SERVER,
    Layout.MALFORMED: SERVER,
    Layout.NO_RANGE: SERVER,
    Layout.EPYC: ["pkg0", "pkg1"],
    Layout.SAPPHIRE_RAPIDS: [*SERVER, "psys"],
    Layout.TINY_RANGE: ["pkg0", "pkg1"],
}


def ids(root: Path) -> list[str]:
    return [zone.id for zone in find_zones(root)[0]]


@pytest.mark.parametrize("layout", Layout)
def test_every_machine_has_its_zones_once(tmp_path: Path, layout: Layout) -> None:
    tree = PowercapTree(tmp_path, layout=layout)
    zones, _ = find_zones(tree.root)
    assert [zone.id for zone in zones] == EXPECTED[layout]
    assert all(zone.folder == zone.folder.resolve() for zone in zones)


@pytest.mark.parametrize("layout", Layout)
def test_either_folder_alone_is_enough(tmp_path: Path, layout: Layout) -> None:
    PowercapTree(tmp_path / "links", layout=layout)
    shutil.rmtree(tmp_path / "links/sys/class")
    assert ids(tmp_path / "links") == EXPECTED[layout]

    # A copy without links is what a container sees that mounts the class folder only.
    PowercapTree(tmp_path / "flat", layout=layout)
    shutil.copytree(tmp_path / "flat/sys/devices/virtual/powercap", tmp_path / "copy/sys/class/powercap")
    shutil.copytree(tmp_path / "flat/proc", tmp_path / "copy/proc")
    assert ids(tmp_path / "copy") == EXPECTED[layout]


def test_the_name_and_not_the_index_says_which_package(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.SWAPPED)
    zones = {zone.id: zone for zone in find_zones(tree.root)[0]}
    assert zones["pkg1"].folder.name == "intel-rapl:0"
    assert zones["dram1"].folder.name == "intel-rapl:0:0"
    assert (zones["dram0"].package, zones["pkg1"].package) == (0, 1)


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        (Layout.WITH_MMIO, "intel-rapl-mmio:0: repeats the package counter"),
        (Layout.MALFORMED, "intel-rapl:a: is not named like a zone"),
        (Layout.ZEN_DIES, "intel-rapl:1: shows the counter of pkg0die0 once more"),
    ],
)
def test_what_is_left_out_has_a_reason(tmp_path: Path, layout: Layout, reason: str) -> None:
    _, ignored = find_zones(PowercapTree(tmp_path, layout=layout).root)
    assert len(ignored) == 1
    assert reason in ignored[0]


@pytest.mark.parametrize(
    ("name", "expected"), [("psys-1", ["psys1"]), ("package-12", ["pkg12"]), ("gpu", []), ("", [])]
)
def test_zone_names(tmp_path: Path, name: str, expected: list[str]) -> None:
    folder = tmp_path / "sys/class/powercap/intel-rapl:0"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    zones, ignored = find_zones(tmp_path)
    assert [zone.id for zone in zones] == expected
    assert bool(ignored) == (not expected)


def test_a_dram_zone_outside_a_package_is_still_found(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/powercap/intel-rapl:3"
    folder.mkdir(parents=True)
    (folder / "name").write_text("dram\n")
    assert ids(tmp_path) == ["dram"]


def test_links_that_a_container_hides_are_named(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    shutil.rmtree(tree.root / "sys/devices/virtual/powercap")
    zones, ignored = find_zones(tree.root)
    assert zones == []
    assert any("leads nowhere" in reason for reason in ignored)


def test_a_machine_without_powercap_has_no_zones(tmp_path: Path) -> None:
    assert find_zones(tmp_path) == ([], [])
