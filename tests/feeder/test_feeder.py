"""The feeder tells the truth: its formulas, its files, its log, also after a pause and after it was killed."""

import argparse
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipa.energy import EnergyMeter
from tests.feeder.live import REPOSITORY, LiveMachine
from tests.feeder.machine import Fault, Machine, add_options, from_options
from tests.feeder.power import Constant, Sine, Square, Steps, Sum, age_of_energy, parse
from tests.sipa.energy.powercap_tree import Layout

SECOND = 10**9
COUNT_J = 61035e-9
CURVES = ["165", "square:40:165:2.5", "sine:100:60:7", "steps:0=50,10=165,11=0,12=20", "sine:60:40:7+steps:0=0,10=90"]


@pytest.mark.parametrize("text", CURVES)
def test_energy_is_the_integral_of_power(text: str) -> None:
    power = parse(text)
    step_ns = 1_000_000
    energies = [power.energy_nj(age_ns) for age_ns in range(0, 20 * SECOND, step_ns)]
    powers_w = [(after - before) / step_ns for before, after in pairwise(energies)]
    assert min(powers_w) >= 0
    assert max(powers_w) == pytest.approx(power.max_w, rel=1e-4)
    assert energies[0] == 0


def test_energies_that_are_known_by_heart() -> None:
    assert Constant(165).energy_nj(10 * SECOND) == 1650 * SECOND
    assert Square(40, 160, 2).energy_nj(7 * SECOND) == (4 * 40 + 3 * 160) * SECOND
    assert Sine(100, 60, 7).energy_nj(7 * SECOND) == pytest.approx(700 * SECOND)
    assert Steps(((0, 50), (10, 165))).energy_nj(12 * SECOND) == (500 + 330) * SECOND
    assert Sum((Constant(1), Constant(2))).energy_nj(SECOND) == 3 * SECOND


@settings(deadline=None)
@given(text=st.sampled_from(CURVES), joules=st.floats(0.1, 1000))
def test_the_time_of_an_energy(text: str, joules: float) -> None:
    power = parse(text)
    age_ns = age_of_energy(power, joules * 1e9, 1000 * SECOND)
    assert power.energy_nj(age_ns - 1) < joules * 1e9 <= power.energy_nj(age_ns)


@pytest.mark.parametrize("text", ["-1", "sine:10:20:1", "square:-1:5:1", "steps:1=5", "triangle:1:2:3", "square:1:2"])
def test_what_is_no_power_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_counter_wraps_where_it_was_told_to(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path, power={"pkg0": "100", "dram0": "10"}, range_j={"dram0": 50}, left_j={"pkg0": 250})
    package, dram = machine.counters["pkg0"], machine.counters["dram0"]
    assert package.range_uj == 262143328850
    assert package.wrap_age_ns(1) == pytest.approx(2.5 * SECOND, abs=2e6)
    assert (package.wraps(int(2.499 * SECOND)), package.wraps(int(2.501 * SECOND))) == (0, 1)
    assert dram.range_uj == 49_999_999
    assert dram.wrap_age_ns(2) == pytest.approx(10 * SECOND, rel=1e-6)
    assert package.shows_uj(package.wrap_age_ns(1)) == 0
    assert package.shows_uj(package.wrap_age_ns(1) - 1) == package.range_uj


def test_a_machine_is_its_options(tmp_path: Path) -> None:
    machine = Machine(
        root=tmp_path,
        layout=Layout.WITH_MMIO,
        power={"pkg0": "square:40:165:2.5", "dram1": "20"},
        range_j={"pkg0": 300.0},
        left_j={"dram1": 1.5},
        limit_w={"pkg0": 350.0},
        pauses=[(1.0, 0.5)],
        faults=[Fault(kind="empty", domain="dram1", at_s=2.0, for_s=0.25)],
    )
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert from_options(parser.parse_args(machine.options())) == machine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "machine"


def shown_uj(live: LiveMachine, domain: str) -> tuple[int, range]:
    """What a counter's file holds, and the nanoseconds in which it was read."""
    before_ns = time.monotonic_ns()
    value = int(live.machine.files(domain)[0].read_text().split("\n")[0])
    return value, range(before_ns, time.monotonic_ns())


def test_a_live_counter_shows_its_formula(folder: Path) -> None:
    machine = Machine(
        root=folder,
        layout=Layout.WITH_MMIO,
        power={"pkg0": "sine:100:60:0.2", "dram0": "20"},
        range_j={"pkg0": 20, "dram0": 3},
        pauses=[(0.3, 0.1)],
        faults=[Fault(kind="empty", domain="dram0", at_s=0.5, for_s=0.1)],
    )
    seen = []
    with LiveMachine(machine) as live:
        while time.monotonic_ns() < live.at_ns(0.8):
            in_fault = live.at_ns(0.4) < time.monotonic_ns() < live.at_ns(0.7)
            domains = ("pkg0",) if in_fault else ("pkg0", "dram0")
            seen += [(domain, *shown_uj(live, domain)) for domain in domains]
            time.sleep(0.001)
    for domain, value_uj, when in seen:
        oldest_ns, newest_ns = live.steps.seen_ns(when.start, when.stop)
        counter = live.counters[domain]
        candidates = [at_ns for at_ns in live.steps.begins_ns if oldest_ns <= at_ns <= newest_ns]
        assert value_uj in [counter.shows_uj(at_ns - live.epoch_ns) for at_ns in candidates]
    assert live.steps.worst_ns >= 0.09 * SECOND
    assert live.report["steps"] == len(live.steps.begins_ns)
    assert live.report["worst_step_ms"] == pytest.approx(live.steps.worst_ns / 1e6)
    twins = {path.read_text() for path in machine.files("pkg0")}
    assert (len(machine.files("pkg0")), len(twins)) == (2, 1)


def test_a_killed_feeder_goes_on_where_it_would_be(folder: Path) -> None:
    machine = Machine(root=folder, power=dict.fromkeys(("pkg0", "pkg1", "dram0", "dram1"), "square:5:35:0.1"))
    with LiveMachine(machine) as first, EnergyMeter(root=folder) as meter:
        before_ns = time.monotonic_ns()
        token = meter.begin()
        begun_ns = time.monotonic_ns()
        first.kill()
        with LiveMachine(machine, epoch_ns=first.epoch_ns) as second:
            ending_ns = time.monotonic_ns()
            window = meter.end(token)
            ended_ns = time.monotonic_ns()
    # What the first had written is only known to a second: its log lacks what it had not flushed.
    least_j = second.energy_j("pkg0", begun_ns, second.steps.seen_ns(ending_ns, ended_ns)[0])
    greatest_j = second.energy_j("pkg0", first.epoch_ns, ended_ns)
    assert before_ns >= first.epoch_ns
    for each in window.by_domain.values():
        assert each.joules is not None
        assert least_j - COUNT_J <= each.joules <= greatest_j + COUNT_J


@pytest.mark.parametrize("ending", [["--seconds", "0.2"], ["--parent", "1"]])
def test_it_ends_at_its_time_or_with_its_parent(folder: Path, ending: list[str]) -> None:
    machine = Machine(root=folder, power={"pkg0": "10"})
    folder.mkdir()
    command = [sys.executable, "-m", "tests.feeder", *machine.options(), *ending]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    begun, report = map(json.loads, ended.stdout.splitlines())
    assert begun["epoch_ns"] <= time.monotonic_ns()
    assert report["steps"] > 0
