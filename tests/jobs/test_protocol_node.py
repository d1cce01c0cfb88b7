"""What one trial's row says of the node, on a made host whose files the trial itself changes while it runs."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.order import TrialOrder
from jobs.protocol import run_trial
from jobs.session import Session
from jobs.watch import Progress
from sipa.results.schema import to_table
from sipa.results.store import Store
from sipa.spec.model import Gates, Meter
from sipa.trial import Row, TrialFailure, TrialResult
from tests.jobs.host_tree import HostTree
from tests.jobs.orders import command_order, python
from tests.jobs.running import session
from tests.jobs.test_rows import CONTROL
from tests.sipa.energy.powercap_tree import LiveFeeder
from tests.sipa.energy.test_dcmi import answers, program

POWER_W = {"pkg0": 90.0, "pkg1": 80.0, "dram0": 9.0, "dram1": 8.0}
REPOSITORY = Path(__file__).parents[2]


def trial(tree: HostTree, folder: Path, code: str = "pass", **protocol: Any) -> TrialOrder:
    """A trial that can change the host by `tree`, in files and registers, inside its window."""
    script = folder / "trial.py"
    script.write_text(
        f"import sys, time\nsys.path.insert(0, {str(REPOSITORY)!r})\nfrom pathlib import Path\n"
        f"from tests.jobs.host_tree import HostTree\ntree = HostTree.__new__(HostTree)\n"
        f"tree.root, tree.cpus = Path({str(tree.root)!r}), {tree.cpus}\n{code}\n"
    )
    defaults = {"meter": (Meter.POWERCAP,), "model": None}
    return command_order(folder, f"{sys.executable} {script}", root=tree.root, **{**defaults, **protocol})


def measured(order: TrialOrder, held: Session, report: Callable[[Progress], None] = lambda _: None) -> TrialResult:
    outcome = run_trial(order, held, report)
    assert isinstance(outcome, TrialResult), outcome
    assert to_table(outcome.row).num_rows == 1
    return outcome


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    return HostTree(tmp_path / "host")


def row_of(order: TrialOrder, tree: HostTree, power_w: Mapping[str, float] = POWER_W) -> Row:
    with LiveFeeder(tree.powercap, power_w), session(order, order.source_folder / "lock") as held:
        return measured(order, held).row


def test_what_happened_to_the_packages_inside_the_window(tree: HostTree, tmp_path: Path) -> None:
    code = (
        "tree.set_temperature(1, 71.5); tree.set_throttling(0, thermal=2); tree.set_throttling(1, thermal=0, power=5)\n"
        "for cpu in range(tree.cpus): tree.set_register(cpu, 0xE7, 1 << 20)\n"
        "time.sleep(.2)"
    )
    row = row_of(trial(tree, tmp_path, code), tree)
    assert (row["temperature_start_c"], row["temperature_end_c"]) == (38.0, 71.5)
    assert (row["throttle_events"], row["power_limit_events"]) == (2, 5)
    # In a file, unlike in the device, two registers with neighbouring numbers share seven of their eight bytes.
    assert row["frequency_effective_hz"] == pytest.approx(2.4e9 / 256)
    assert [flag.partition(":")[0] for flag in row["flags"]] == ["throttling", "power limit"]
    assert row["valid"]


def test_the_bmc_is_asked_after_the_window(tree: HostTree, tmp_path: Path) -> None:
    log = tmp_path / "asked"
    program(tree.root, f"date +%s.%N >> {log}\n" + answers(power="ipmitool-1.8.18"))
    order = trial(tree, tmp_path, f"time.sleep(.2); Path({str(tmp_path / 'ended')!r}).write_text(str(time.time()))")
    row = row_of(order, tree)
    assert row["power_node_dcmi_w"] == 215.0
    assert isinstance(row["temperature_inlet_c"], float)
    assert row["power_total_w"] < 215
    assert row["flags"] == []
    asked = [float(line) for line in log.read_text().split()]
    assert asked[0] < float((tmp_path / "ended").read_text()) < asked[1]


@pytest.mark.slow
def test_a_bmc_that_hangs_is_asked_no_more(tree: HostTree, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    hang = f'echo >> {asked}; [ "$(wc -l < {asked})" -gt 1 ] && exec sleep 60\n'
    program(tree.root, hang + answers(power="ipmitool-1.8.18"))
    order = trial(tree, tmp_path, "time.sleep(.2)")
    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        first, questions = measured(order, held).row, len(asked.read_text())
        second = measured(order, held).row
    assert any("did not answer within" in flag for flag in first["flags"])
    assert [flag.partition(":")[0] for flag in second["flags"]] == ["node power unavailable"]
    assert len(asked.read_text()) == questions


def test_rapl_above_the_node_is_flagged_and_never_refused(tree: HostTree, tmp_path: Path) -> None:
    program(tree.root, answers(power="ipmitool-1.8.19"))
    row = row_of(trial(tree, tmp_path, "time.sleep(.3)", gates=Gates.REFUSE), tree, dict.fromkeys(POWER_W, 100.0))
    assert row["power_node_dcmi_w"] == 186.0
    assert any(flag.startswith("node power: packages and DRAM drew") for flag in row["flags"])


def test_a_bmc_that_says_nothing_is_a_null_with_its_reason(tree: HostTree, tmp_path: Path) -> None:
    program(tree.root, answers(power="ipmitool-deactivated"))
    row = row_of(trial(tree, tmp_path), tree)
    assert row["power_node_dcmi_w"] is None
    assert any(flag.startswith("node power unavailable:") for flag in row["flags"])


def test_counters_that_are_noised_on_purpose_are_refused(tree: HostTree, tmp_path: Path) -> None:
    for cpu in range(tree.cpus):
        tree.set_register(cpu, 0xBC, 1)
    order = trial(tree, tmp_path, gates=Gates.REFUSE)
    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        outcome = run_trial(order, held, lambda _: None)
    assert isinstance(outcome, TrialFailure)
    assert (outcome.error, "energy filter" in outcome.message) == ("GateTripped", True)


def test_the_last_control_of_the_session_stands_in_the_row(tree: HostTree, tmp_path: Path) -> None:
    order = trial(tree, tmp_path)
    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        held.control = CONTROL
        row = measured(order, held).row
    assert (row["control_id"], row["control_energy_j"]) == (CONTROL.control_id, CONTROL.energy_total_j)


def test_a_warm_node_cools_down_before_the_idle_window_and_the_next_trial_says_how_long(
    tree: HostTree, tmp_path: Path
) -> None:
    order = trial(tree, tmp_path, "tree.set_temperature(0, 66); time.sleep(.2)", idle_s=0.2, cooldown_timeout_s=60.0)
    said: list[Progress] = []

    def report(progress: Progress) -> None:
        said.append(progress)
        if progress.phase == "cool-down":
            tree.set_temperature(0, 40.5)

    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        first, second = (measured(order, held, report).row for _ in range(2))
    assert first["duration_cooldown_s"] == 0.0
    assert 0.9 < second["duration_cooldown_s"] < 30
    phases = [each.phase for each in said]
    assert phases.count("cool-down") == 2
    assert phases.count("idle") == 3
    assert [phases[place + 1] for place, phase in enumerate(phases) if phase == "cool-down"] == ["idle", "idle"]
    assert next(each.detail for each in said if each.phase == "cool-down") == "66 °C, until 41 °C"
    assert held.coolest_c == 38.0
    assert second["flags"] == []


def test_a_node_that_stays_warm_is_refused_before_it_measures(tree: HostTree, tmp_path: Path) -> None:
    order = trial(tree, tmp_path, cooldown_timeout_s=0.3, gates=Gates.REFUSE)
    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        tree.set_temperature(1, 55.0)
        outcome = run_trial(order, held, lambda _: None)
    assert isinstance(outcome, TrialFailure)
    assert "cool-down: the packages were still at 55 °C" in outcome.message
    assert not order.log.exists()


def test_a_knob_that_somebody_turned_is_refused_whatever_the_gates_say(tree: HostTree, tmp_path: Path) -> None:
    order = trial(tree, tmp_path, governor="performance", gates=Gates.FLAG)
    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        assert set(tree.governors()) == {"performance"}
        assert held.identity.environment["governor"] == "performance"
        measured(order, held)
        tree.set_governor("powersave", 1)
        outcome = run_trial(order, held, lambda _: None)
        tree.set_governor("performance", 1)
    assert set(tree.governors()) == {"powersave"}
    assert isinstance(outcome, TrialFailure)
    assert outcome.error == "GateTripped"
    assert "governor" in outcome.message


def test_the_power_trace_is_the_window_cut_in_pieces(tree: HostTree, tmp_path: Path) -> None:
    order = trial(tree, tmp_path, "time.sleep(2.5)")
    with LiveFeeder(tree.powercap, POWER_W), session(order, tmp_path / "lock") as held:
        found = measured(order, held)
    assert {each["domain"] for each in found.samples} == set(POWER_W)
    own = [each for each in found.samples if each["domain"] == "pkg0"]
    times = [0.0, *(each["t_s"] for each in own)]
    assert len(own) >= 2
    assert times == sorted(times)
    assert times[-1] == pytest.approx(found.row["window_s"])
    pieces = sum((end - begin) * each["power_w"] for begin, end, each in zip(times, times[1:], own, strict=False))
    assert pieces == pytest.approx(found.row["energy_pkg0_j"], rel=1e-3)
    store = Store(tmp_path / "results")
    store.commit(found)
    (file,) = store.folder.samples.iterdir()
    assert file.name == f"{found.trial_id}.1.parquet"


def test_a_model_has_no_trace(tmp_path: Path) -> None:
    order = command_order(tmp_path, python("import time; time.sleep(1.2)"))
    began = time.monotonic()
    with session(order, tmp_path / "lock") as held:
        found = measured(order, held)
    assert time.monotonic() > began
    assert found.samples == ()
    store = Store(tmp_path / "results")
    store.commit(found)
    assert not store.folder.samples.exists()
