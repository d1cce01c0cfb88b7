"""What changes on a host while a trial runs, read from a made tree; null where a file is missing."""

from pathlib import Path

from jobs import host_state
from tests.jobs.host_tree import HostTree


def test_temperature_throttling_and_kills_are_read_by_package(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    tree.set_temperature(0, 41.0)
    tree.set_temperature(1, 52.5)
    tree.write("sys/class/thermal/thermal_zone2/type", "acpitz\n")
    tree.write("sys/class/thermal/thermal_zone2/temp", "99000\n")
    tree.set_throttling(0, thermal=3, power=100)
    tree.set_throttling(1, thermal=13, power=1)
    tree.write("proc/vmstat", "pgfault 1\noom_kill 7\n")
    before = host_state.read(tree.root)
    assert (before.temperature_c, before.throttle_events, before.oom_kills) == (52.5, 16, 7)
    tree.set_throttling(1, thermal=15, power=4)
    found = host_state.columns(before, host_state.read(tree.root))
    assert (found["temperature_start_c"], found["throttle_events"], found["power_limit_events"]) == (52.5, 2, 3)


def test_what_cannot_be_read_is_null(tmp_path: Path) -> None:
    state = host_state.read(tmp_path)
    assert state.temperature_c is state.throttle_events is state.oom_kills is None
    assert set(host_state.columns(state, state).values()) == {None}


def test_a_processor_without_thermal_zones_has_sensors(tmp_path: Path) -> None:
    for index, (driver, millidegrees) in enumerate([("nvme", 99000), ("k10temp", 61250), ("k10temp", 58000)]):
        folder = tmp_path / f"sys/class/hwmon/hwmon{index}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{driver}\n")
        (folder / "temp1_input").write_text(f"{millidegrees}\n")
    assert host_state.temperature_c(tmp_path) == 61.25
