"""The estimate, and that it cannot be taken for a measurement."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.energy.power_model import ModelSource, PowerModel, read_cpu_times, utilisation_between
from sipa.energy.readings import CpuTimes
from sipa.errors import MeterError, UsageError
from tests.sipa.energy.powercap_tree import PowercapTree

MODEL = PowerModel(idle_w=60, max_w=160)
TICKS = st.integers(0, 2**40)


@pytest.mark.parametrize(("busy", "idle", "power_w"), [(0, 100, 60), (100, 0, 160), (25, 75, 85)])
def test_power_is_idle_plus_utilisation_times_the_rest(busy: int, idle: int, power_w: float) -> None:
    begin = CpuTimes(busy=1000, total=5000)
    found = MODEL.estimate(begin, CpuTimes(busy=1000 + busy, total=5000 + busy + idle), 10.0)
    assert (found.power_w, found.energy_j, found.reason) == (power_w, power_w * 10, None)
    assert (found.utilisation, found.idle_w, found.max_w) == (busy / 100, 60, 160)


@given(busy=TICKS, total=TICKS, then_busy=TICKS, then_total=TICKS)
def test_power_lies_between_idle_and_maximum_or_is_unknown(
    busy: int, total: int, then_busy: int, then_total: int
) -> None:
    found = MODEL.estimate(CpuTimes(busy=busy, total=total), CpuTimes(busy=then_busy, total=then_total), 1.0)
    assert (found.power_w is None) == (found.energy_j is None) == (found.reason is not None)
    assert found.power_w is None or 60 <= found.power_w <= 160


def test_no_tick_is_no_estimate_and_not_idle() -> None:
    now = CpuTimes(busy=1, total=2)
    assert utilisation_between(now, now) is None
    assert "shorter than a clock tick" in (MODEL.estimate(now, now, 0.001).reason or "")


def test_cpu_times_count_guests_once_and_neither_waiting_nor_stolen_time_as_busy(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 1000 500 4 6 70 90 15\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert read_cpu_times(stat) == CpuTimes(busy=160, total=1730)


@pytest.mark.parametrize("content", ["", "cpu\n", "cpu 1 2 3\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"])
def test_a_broken_stat_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "stat").write_text(content)
    with pytest.raises(MeterError, match="stat: "):
        read_cpu_times(tmp_path / "stat")


def test_a_missing_stat_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="proc/stat: CPU times cannot be read"):
        ModelSource(tmp_path)


@pytest.mark.parametrize(
    ("idle_w", "max_w"), [(-1, 10), (20, 10), (0, 0), (0, math.inf), (math.nan, 10), (1, math.nan)]
)
def test_watts_that_make_no_sense_are_refused(idle_w: float, max_w: float) -> None:
    with pytest.raises(UsageError, match="idle_w <= max_w"):
        PowerModel(idle_w=idle_w, max_w=max_w)


def test_the_source_has_cpu_times_and_no_energy(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    tree.set_cpu_times(busy=30, idle=70)
    source = ModelSource(tree.root, clock=lambda: 5)
    source.open()
    reading = source.read()
    source.close()
    assert reading.cpu == CpuTimes(busy=30, total=100)
    assert (dict(reading.values_uj), source.domains, reading.begin_ns) == ({}, (), 5)
