"""`scope = "process"`: the source paper's way round the whole process, beside the meter's own inference window."""

from pathlib import Path
from typing import Any

import pytest

from jobs.protocol import run_trial
from jobs.session import Session
from sipa.errors import MeterError
from sipa.results.schema import to_table
from sipa.results.store import Store
from sipa.spec.model import CommandOutput, Meter, Scope
from sipa.trial import TrialFailure, TrialResult
from tests.jobs.fake_perf import fake_perf
from tests.jobs.orders import command_order, python
from tests.jobs.running import session
from tests.sipa.energy.powercap_tree import LiveFeeder, PowercapTree

POWER_W = {"pkg0": 90.0, "pkg1": 80.0, "dram0": 9.0, "dram1": 8.0}
PROTOCOL: dict[str, Any] = {"meter": (Meter.POWERCAP,), "model": None, "scope": Scope.PROCESS}


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    made = PowercapTree(tmp_path / "tree")
    fake_perf(made.root)
    return made


def measured(held: Session, *arguments: Any, **options: Any) -> TrialResult:
    outcome = run_trial(command_order(*arguments, **options), held, lambda _: None)
    assert isinstance(outcome, TrialResult), outcome
    assert to_table(outcome.row).num_rows == 1
    return outcome


def run(tree: PowercapTree, folder: Path, code: str = "import time; time.sleep(.3)", **options: Any) -> TrialResult:
    order = command_order(folder, python(code), root=tree.root, **PROTOCOL)
    with LiveFeeder(tree, POWER_W), session(order, folder / "lock") as held:
        return measured(held, folder, python(code), root=tree.root, **PROTOCOL, **options)


def test_the_process_is_perfs_and_the_window_the_meters(tree: PowercapTree, tmp_path: Path) -> None:
    row = run(tree, tmp_path).row
    assert row["energy_pkg_process_j"] / row["duration_process_s"] == pytest.approx(170, rel=0.05)
    assert row["energy_dram_process_j"] / row["duration_process_s"] == pytest.approx(17, rel=0.1)
    assert row["energy_pkg_j"] / row["window_s"] == pytest.approx(170, rel=0.15)
    assert row["window_s"] < row["duration_process_s"]
    assert row["energy_pkg_j"] < row["energy_pkg_process_j"]
    assert row["valid"]


def test_the_phases_say_whose_number_it_is(tree: PowercapTree, tmp_path: Path) -> None:
    found = run(tree, tmp_path)
    process = [each for each in found.phases if each["phase"] == "process"]
    assert [(each["domain"], each["quality"]) for each in process] == [
        ("package", "measured (perf stat)"),
        ("dram", "measured (perf stat)"),
    ]
    assert process[0]["energy_j"] == found.row["energy_pkg_process_j"]
    inference = next(each for each in found.phases if each["phase"] == "inference")
    assert process[0]["begin_ns"] < inference["begin_ns"] < inference["end_ns"] < process[0]["end_ns"]
    Store(tmp_path / "results").commit(found)


def test_output_progress_and_markers_pass_through(tree: PowercapTree, tmp_path: Path) -> None:
    code = "import time; print('GO', flush=True); time.sleep(.3); print('STOP', flush=True)"
    found = run(tree, tmp_path, code, output=CommandOutput(begin_marker="GO", end_marker="STOP"))
    assert 0.2 < found.row["window_s"] < 2
    assert "STOP" in (tmp_path / "trial.log").read_text()


def test_a_perf_that_stops_counting_gives_a_null_and_an_invalid_row(tree: PowercapTree, tmp_path: Path) -> None:
    order = command_order(tmp_path, python("pass"), root=tree.root, **PROTOCOL)
    with LiveFeeder(tree, POWER_W), session(order, tmp_path / "lock") as held:
        program = tree.root / "usr/bin/perf"
        program.write_text(program.read_text().replace("{value:.2f},Joules", "<not supported>,Joules"))
        found = run_trial(order, held, lambda _: None)
    assert isinstance(found, TrialResult)
    assert not found.row["valid"]
    assert found.row["energy_pkg_process_j"] is found.row["energy_dram_process_j"] is None
    assert found.row["energy_pkg_j"] > 0
    assert found.row["duration_process_s"] > found.row["window_s"]
    assert any(flag.startswith("perf stat: ") and "not supported" in flag for flag in found.row["flags"])
    process = [each for each in found.phases if each["phase"] == "process"]
    assert {each["quality"] for each in process} == {"unavailable"}
    assert all("not supported" in each["reason"] for each in process)


def test_a_machine_without_dram_events_has_no_dram_and_is_valid(tmp_path: Path) -> None:
    made = PowercapTree(tmp_path / "tree")
    fake_perf(made.root, dram=False)
    row = run(made, tmp_path).row
    assert row["energy_dram_process_j"] is None
    assert row["energy_pkg_process_j"] > 0
    assert row["valid"]


def test_a_process_that_dies_is_told_as_without_perf(tree: PowercapTree, tmp_path: Path) -> None:
    order = command_order(tmp_path, python("import os; os.kill(os.getppid(), 9)"), root=tree.root, **PROTOCOL)
    with LiveFeeder(tree, POWER_W), session(order, tmp_path / "lock") as held:
        found = run_trial(order, held, lambda _: None)
    assert isinstance(found, TrialFailure)
    assert found.error == "TrialCrash"
    assert "signal 9" in found.message


def test_without_perf_the_session_is_refused_with_the_cure(tmp_path: Path) -> None:
    made = PowercapTree(tmp_path / "tree")
    order = command_order(tmp_path, python("pass"), root=made.root, **PROTOCOL)
    with pytest.raises(MeterError, match="perf cannot count energy"), session(order, tmp_path / "lock"):
        pass


def test_an_estimate_has_no_use_for_perf_and_says_so(tmp_path: Path) -> None:
    order = command_order(tmp_path, python("pass"), scope=Scope.PROCESS)
    with session(order, tmp_path / "lock") as held:
        found = run_trial(order, held, lambda _: None)
    assert isinstance(found, TrialResult)
    assert found.row["energy_estimated_process_j"] > 0
    assert found.row["energy_pkg_process_j"] is None
    assert found.row["valid"]
    assert any(flag.startswith("scope: ") for flag in found.row["flags"])
