"""APERF and MPERF, and the registers they are read from: sparse files in the place of /dev/cpu/N/msr."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import frequency, msr
from jobs.frequency import FrequencyCounts, effective_hz
from tests.jobs.host_tree import CPU, HostTree

TOP = 2**64


def test_the_mean_is_weighted_by_the_time_that_each_cpu_worked(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    tree.set_cycles(1, real=7, base=3)
    begin = frequency.read(tree.root)
    tree.set_cycles(0, real=80, base=60)
    tree.set_cycles(3, real=10, base=20)
    assert effective_hz(begin, frequency.read(tree.root)) == pytest.approx(2.4e9 * (90 + 80 / 256) / 80)


def test_counters_may_wrap(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    for cpu in range(4):
        tree.set_cycles(cpu, real=250, base=250)
    begin = frequency.read(tree.root)
    for cpu in range(4):
        tree.set_cycles(cpu, real=24, base=14)
    assert effective_hz(begin, frequency.read(tree.root)) == pytest.approx(2.4e9 * (30 + 20 / 256 - 1) / 20)


def test_no_number_where_a_cpu_went_or_came_or_none_worked(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    begin = frequency.read(tree.root)
    assert effective_hz(begin, frequency.read(tree.root)) is None
    tree.set_cycles(0, real=1, base=1)
    assert effective_hz(begin, frequency.read(tree.root)) == pytest.approx(2.4e9 * (1 + 1 / 256))
    tree.path("dev/cpu/3/msr").unlink()
    tree.path("dev/cpu/3").rmdir()
    assert effective_hz(begin, frequency.read(tree.root)) is None
    assert effective_hz(None, begin) is effective_hz(begin, None) is None


def test_no_number_where_registers_or_base_frequency_cannot_be_read(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    begin = frequency.read(tree.root)
    assert begin is not None
    assert begin.base_hz == 2.4e9
    tree.write(f"{CPU}/cpufreq/policy1/base_frequency", "2000000\n")
    mixed = frequency.read(tree.root)
    assert mixed is not None
    assert mixed.base_hz is None
    tree.path("dev/cpu/2/msr").unlink()
    assert frequency.read(tree.root) is None
    assert frequency.read(tmp_path / "nowhere") is None


@given(
    st.lists(
        st.tuples(st.integers(0, TOP - 1), st.integers(0, TOP - 1), st.integers(0, 2**40), st.integers(1, 2**40)),
        min_size=1,
        max_size=8,
    )
)
def test_any_start_gives_the_ratio_of_the_cycles(cpus: list[tuple[int, int, int, int]]) -> None:
    def counts(after: int) -> FrequencyCounts:
        return FrequencyCounts(
            aperf={n: (real + after * cycles) % TOP for n, (real, _, cycles, _) in enumerate(cpus)},
            mperf={n: (base + after * cycles) % TOP for n, (_, base, _, cycles) in enumerate(cpus)},
            base_hz=1e9,
        )

    expected = 1e9 * sum(each[2] for each in cpus) / sum(each[3] for each in cpus)
    assert effective_hz(counts(0), counts(1)) == pytest.approx(expected)


def test_a_register_is_eight_bytes_or_nothing(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    tree.set_register(1, msr.IA32_APERF, 0x0123_4567_89AB_CDEF)
    assert msr.read_msr(tree.root, 1, msr.IA32_APERF) == 0x0123_4567_89AB_CDEF
    assert msr.read_msr(tree.root, 1, 0x1000) is None
    assert msr.read_msr(tree.root, 99, msr.IA32_APERF) is None
    tree.path("dev/cpu/1/msr").write_bytes(b"\0" * (msr.IA32_APERF + 7))
    assert msr.read_msr(tree.root, 1, msr.IA32_APERF) is None


@pytest.mark.parametrize(("values", "on"), [((0, 0), False), ((0, 1), True), ((1, None), True), ((0, None), None)])
def test_the_energy_filter_of_any_package_counts(tmp_path: Path, values: tuple[int, int | None], on: bool) -> None:
    tree = HostTree(tmp_path)
    for cpu, value in zip((0, 2), values, strict=True):
        if value is None:
            tree.path(f"dev/cpu/{cpu}/msr").unlink()
        else:
            tree.set_register(cpu, msr.IA32_MISC_PACKAGE_CTLS, value | 0b10)
    assert msr.energy_filter(tree.root) is on
