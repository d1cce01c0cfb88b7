"""What a window costs: begin and end beside bare reads of the same files in the same run.

The ratio is what is asserted; the time in a report is of a fake tree, where no register has to be read on another
socket.
"""

import os
import timeit
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from sipa.energy import EnergyMeter
from tests.sipa.energy.powercap_tree import PowercapTree

MAX_RATIO = 25
"""Begin and end read every counter once each and do all arithmetic: so many times the bare reads at most."""


@pytest.mark.bench
def test_begin_and_end_cost_little_more_than_the_reads(
    benchmark: BenchmarkFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = PowercapTree(tmp_path)
    files = [os.open(tree.path(domain), os.O_RDONLY) for domain in tree.ids] * 2

    def reads() -> None:
        for file in files:
            os.pread(file, 64, 0)

    with EnergyMeter(root=tree.root) as meter:
        window_s = min(timeit.repeat(lambda: meter.end(meter.begin()), number=100, repeat=20)) / 100
        benchmark(lambda: meter.end(meter.begin()))
    reads_s = min(timeit.repeat(reads, number=100, repeat=20)) / 100
    for file in set(files):
        os.close(file)
    benchmark.extra_info["bare_reads_us"] = reads_s * 1e6
    benchmark.extra_info["ratio"] = window_s / reads_s
    with capsys.disabled():
        print(f"\nbegin and end: {window_s * 1e6:.0f} µs (expected: at most 100); bare reads: {reads_s * 1e6:.0f} µs")
    assert window_s / reads_s < MAX_RATIO
