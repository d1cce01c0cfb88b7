"""Any command, measured: how it ended, what it took, what the idle machine takes, and how it reads."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.lock import exclusive
from jobs.measured import foreground
from jobs.measured.command import MeasuredCommand, MeasureOrder, measure
from jobs.measured.foreground import Ended
from jobs.measured.record import record
from jobs.measured.text import WIDTH, lines
from sipa.energy.power_model import PowerModel
from sipa.energy.source import MeterKind
from sipa.errors import MeterError
from tests.sipa.energy.powercap_tree import Layout, LiveFeeder, PowercapTree
from tests.sipa.energy.test_dcmi import answers, program

COUNT_J = 2 * 61.035e-6


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path / "tree")


def spending(tree: PowercapTree, rest: str = "", **joules: float) -> tuple[str, ...]:
    """A command that lets counters advance by exactly so much, then does the rest."""
    files = {tree.path(domain): round(each * 1e6) for domain, each in joules.items()}
    steps = [f"echo $(($(cat {file}) + {each})) > {file}" for file, each in files.items()]
    return ("sh", "-c", "; ".join([*steps, rest or "true"]))


def measured(tree: PowercapTree, *command: str, **options: object) -> MeasuredCommand:
    said: list[str] = []
    order = MeasureOrder(command=command, root=tree.root, lock=tree.root.parent / "lock", **options)  # type: ignore[arg-type]
    return measure(order, say=said.append)


def text(found: MeasuredCommand) -> str:
    shown = list(lines(found))
    assert [line for line in shown if len(line) > WIDTH and "/" not in line] == []
    return "\n".join(shown)


# ---------------------------------------------------------------- in the foreground


@pytest.mark.parametrize(
    ("script", "code", "how"),
    [
        ("exit 0", 0, "exited with 0"),
        ("exit 9", 9, "exited with 9"),
        ("kill -KILL $$", 137, "was killed by SIGKILL"),
        ("kill -SEGV $$", 139, "was killed by SIGSEGV"),
    ],
)
def test_how_a_command_ends(script: str, code: int, how: str) -> None:
    ended = foreground.run(["sh", "-c", script])
    assert (ended.exit_code, ended.how, ended.interrupted) == (code, how, False)


def test_cpu_time_is_that_of_everything_that_was_waited_for() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    ended = foreground.run(["sh", "-c", f"{sys.executable} -IS -c '{burn}' & wait"])
    assert ended.own_cpu_s >= 0.3


def test_a_command_that_cannot_run_is_known_before(tmp_path: Path) -> None:
    text_file = tmp_path / "text"
    text_file.write_text("hello")
    assert foreground.unrunnable(["true"]) is None
    assert foreground.unrunnable(["no-such-program"]) == Ended(
        exit_code=127, how="no-such-program: not found", own_cpu_s=0.0
    )
    assert foreground.unrunnable([str(tmp_path / "nothing")]).exit_code == 127  # type: ignore[union-attr]
    assert foreground.unrunnable([str(text_file)]).exit_code == 126  # type: ignore[union-attr]
    text_file.chmod(0o755)
    assert foreground.run([str(text_file)]).exit_code == 126


def test_handlers_are_back_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    foreground.run(["true"])
    assert [signal.getsignal(number) for number in numbers] == before


# ---------------------------------------------------------------- energy


def test_joules_are_what_the_counters_advanced_by(tree: PowercapTree) -> None:
    tree.wraps_after("pkg1", 3.0)
    command = spending(tree, "sleep 0.2; exit 4", pkg0=12.5, dram0=2.0, dram1=1.0)
    found = measured(tree, *command)
    assert found.ended.exit_code == 4
    window = found.runs[0].window
    assert window.by_domain["pkg0"].joules == pytest.approx(12.5, abs=COUNT_J)
    assert window.dram_j == pytest.approx(3.0, abs=COUNT_J)
    assert window.total_j == pytest.approx(15.5, abs=2 * COUNT_J)
    shown = text(found)
    assert "total = pkg0 + pkg1 + dram0 + dram1" in shown
    assert "command       exited with 4" in shown
    assert "Not the energy of the server" in shown


def test_a_live_machine(tree: PowercapTree) -> None:
    """The true energy lies between what was fed while the command surely ran and what was fed in all."""
    begun, end = tree.root / "begun", tree.root / "end"
    tree.wraps_after("pkg0", 20.0)
    inner_j: list[float] = []

    def observe() -> None:
        until(begun.exists)
        inner_j.append(sum(map(tree.energy_j, tree.ids)))
        time.sleep(0.7)
        inner_j.append(sum(map(tree.energy_j, tree.ids)))
        end.touch()

    observer = threading.Thread(target=observe)
    with LiveFeeder(tree, {"pkg0": 65.0, "pkg1": 50.0, "dram0": 12.0, "dram1": 8.0}):
        before_j = sum(map(tree.energy_j, tree.ids))
        observer.start()
        found = measured(tree, "sh", "-c", f"touch {begun}; while [ ! -e {end} ]; do sleep 0.01; done")
        outer_j = sum(map(tree.energy_j, tree.ids)) - before_j
        observer.join()
    window = found.runs[0].window
    assert window.total_j is not None
    assert 20 < inner_j[1] - inner_j[0] <= window.total_j + 4 * COUNT_J
    assert window.total_j <= outer_j + 4 * COUNT_J
    assert window.wraps == 1
    assert "1 counter wrap accounted for" in text(found)


def test_a_lost_counter_is_unavailable_and_so_is_the_total(tree: PowercapTree) -> None:
    found = measured(tree, "rm", str(tree.path("dram1")))
    shown = text(found)
    assert found.runs[0].window.total_j is None
    assert [line.split()[:2] for line in shown.splitlines() if "unavailable" in line][:2] == [
        ["dram1", "unavailable"],
        ["total", "unavailable"],
    ]
    assert "the zone has vanished" in shown
    columns = record(found)["runs"][0]
    assert (columns["energy_total_j"], columns["power_total_w"]) == (None, None)
    assert columns["domains"]["dram1"]["energy_j"] is None
    assert any("vanished" in reason for reason in columns["reasons"])


def test_net_energy_is_above_the_idle_machine(tree: PowercapTree) -> None:
    with LiveFeeder(tree, {"pkg0": 40.0, "pkg1": 40.0, "dram0": 5.0, "dram1": 5.0}):
        found = measured(tree, *spending(tree, "sleep 0.3", pkg0=0.0), idle_s=0.4)
    assert len(found.idle) == 2
    columns = record(found)["runs"][0]
    net = columns["energy_total_j"] - columns["power_idle_total_w"] * columns["window_s"]
    assert columns["energy_net_j"] == pytest.approx(net)
    assert columns["power_idle_drift_w"] == pytest.approx(found.idle[1].power_w - found.idle[0].power_w)  # type: ignore[operator]
    shown = text(found)
    assert "W before" in shown
    assert "W after" in shown
    assert "total less idle power" in shown


def test_repetitions_have_a_mean_and_an_interval(tree: PowercapTree) -> None:
    counter = tree.root / "n"
    growing = (
        f"n=$(cat {counter} 2>/dev/null || echo 0); echo $((n + 1)) > {counter}; "
        f"f={tree.path('pkg0')}; echo $(($(cat $f) + 1000000 * (n + 1))) > $f; sleep 0.1"
    )
    found = measured(tree, "sh", "-c", growing, repeat=3)
    statistics = record(found)["statistics"]["energy_total_j"]
    assert statistics["n"] == 3
    assert statistics["mean"] == pytest.approx(2.0, abs=4 * COUNT_J)
    assert statistics["sd"] == pytest.approx(1.0, abs=8 * COUNT_J)
    # Student's t of two degrees of freedom: 4.303 standard errors.
    assert statistics["high"] - statistics["mean"] == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    shown = text(found)
    assert "mean of 3 runs" in shown
    assert "95 % interval" in shown
    firsts = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert firsts[firsts.index("run") :][:6] == ["run", "1", "2", "3", "mean", "sd"]


def test_an_interval_of_net_energy_has_the_idle_powers_uncertainty_too(tree: PowercapTree) -> None:
    """Equal runs would make it as narrow as one likes, though all of them subtract the same uncertain power."""
    with LiveFeeder(tree, dict.fromkeys(tree.ids, 40.0)):
        found = measured(tree, "sleep", "0.2", idle_s=0.2, repeat=2)
    values = record(found)
    bound_w, drift_w = values["idle"]["power_idle_uncertainty_w"], values["idle"]["power_idle_drift_w"]
    net = values["statistics"]["energy_net_j"]
    assert net["idle_uncertainty_j"] == pytest.approx(
        (bound_w + abs(drift_w) / 2) * values["statistics"]["window_s"]["mean"]
    )
    (line,) = (line for line in text(found).splitlines() if line.startswith("  net "))
    assert line.endswith("less idle, its ± added")
    shown_j = float(line.partition("±")[2].split()[0])
    assert shown_j == pytest.approx((net["high"] - net["low"]) / 2 + net["idle_uncertainty_j"], rel=0.1)


def test_a_narrow_terminal_folds_what_is_no_table(tree: PowercapTree) -> None:
    found = measured(tree, "sleep", "0.1", idle_s=0.1)
    assert [
        line for line in lines(found, width=56) if len(line) > 56 and "/" not in line and "total less" not in line
    ] == []


def test_the_first_failing_run_is_the_last(tree: PowercapTree) -> None:
    counter = tree.root / "n"
    found = measured(tree, "sh", "-c", f"echo x >> {counter}; [ $(wc -l < {counter}) -lt 3 ]", repeat=5)
    assert [run.ended.exit_code for run in found.runs] == [0, 0, 1]
    assert found.ended.exit_code == 1
    assert "exited with 1; stopped after run 3 of 5" in text(found)
    assert record(found)["runs_asked"] == 5


def test_domains_that_are_not_added_stand_apart(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path / "tree", Layout.CLIENT)
    found = measured(tree, *spending(tree, "sleep 0.1", pkg0=2.0, core0=1.0, psys=5.0))
    shown = text(found).splitlines()
    assert found.runs[0].window.total_j == pytest.approx(2.0, abs=COUNT_J)
    assert "  total = pkg0" in shown
    assert next(line for line in shown if "core0" in line).endswith("not added: in the package")
    assert next(line for line in shown if "psys" in line).endswith("not added: holds the rest")


def test_an_estimate_says_so_on_each_line(tree: PowercapTree) -> None:
    (tree.root / "proc/stat").unlink()
    (tree.root / "proc/stat").symlink_to("/proc/stat")
    model = PowerModel(idle_w=60, max_w=165)
    found = measured(tree, "sleep", "0.1", meters=("model",), model=model, repeat=2)
    shown = text(found).splitlines()
    assert [line for line in shown if " J" in line and "ESTIMATE" not in line] == []
    assert any("ESTIMATE of the model meter" in line for line in shown)
    found_record = record(found)
    assert found_record["meter"] == "model"
    assert found_record["runs"][0]["energy_total_j"] is None
    assert found_record["runs"][0]["energy_estimated_j"] >= 6
    assert "energy_total_j" not in found_record["statistics"]
    assert "energy_estimated_j" in found_record["statistics"]


def test_what_the_bmc_says_right_after(tree: PowercapTree) -> None:
    program(tree.root, answers(power="ipmitool-1.8.18"))
    found = measured(tree, "true")
    columns = record(found)["runs"][0]
    assert (columns["power_node_dcmi_w"], columns["temperature_inlet_c"]) == (215, 23)
    assert "215 W right after, by its BMC (DCMI): whole watts, seconds old" in text(found)


@pytest.mark.parametrize(("broken", "label"), [("powercap", "not used"), ("perf", "no check")])
def test_a_preferred_meter_that_is_passed_over_is_no_missing_check(tree: PowercapTree, broken: str, label: str) -> None:
    found = measured(tree, "sleep", "0.1")
    shown = text(replace(found, source=MeterKind.PERF if broken == "powercap" else MeterKind.POWERCAP))
    assert any(line.startswith(f"  {label} ") for line in shown.splitlines())


def test_a_bmc_does_not_see_a_short_command(tree: PowercapTree) -> None:
    program(tree.root, answers(power="ipmitool-1.8.18"))
    shown = " ".join(text(measured(tree, *spending(tree, "sleep 0.2", pkg0=60.0))).split())
    assert "less than the counters'" in shown
    assert "too short for the BMC to see it" in shown


def test_cpu_use_of_a_few_ticks_is_not_known(tree: PowercapTree) -> None:
    (tree.root / "proc/stat").unlink()
    (tree.root / "proc/stat").symlink_to("/proc/stat")
    long, short = measured(tree, "sleep", "0.2"), measured(tree, "true")
    assert record(long)["runs"][0]["foreign_cores"] is not None
    assert [record(short)["runs"][0][name] for name in ("foreign_cores", "cpu_utilisation")] == [None, None]
    assert "is not known: the command is too short" in " ".join(text(short).split())


def test_without_a_bmc_the_reason_is_in_the_record(tree: PowercapTree) -> None:
    found = measured(tree, "true")
    assert record(found)["runs"][0]["power_node_dcmi_w"] is None
    assert "no ipmitool and no ipmi-dcmi" in record(found)["runs"][0]["reasons"][-1]
    assert "BMC" not in text(found)


def test_temperature_throttling_and_a_copied_proc(tree: PowercapTree) -> None:
    zone = tree.root / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("x86_pkg_temp\n")
    (zone / "temp").write_text("41000\n")
    cpu = tree.root / "sys/devices/system/cpu/cpu0"
    for folder in ("topology", "thermal_throttle"):
        (cpu / folder).mkdir(parents=True)
    (cpu / "topology/physical_package_id").write_text("0\n")
    throttle = cpu / "thermal_throttle/package_throttle_count"
    throttle.write_text("7\n")
    found = measured(tree, "sh", "-c", f"echo 67000 > {zone}/temp; echo 9 > {throttle}")
    shown = text(found)
    assert "41 °C before, 67 °C after" in shown
    assert "2 times thermal" in shown
    assert "is not known" in next(line for line in shown.splitlines() if "CPUs " in line)
    assert record(found)["runs"][0]["foreign_cores"] is None


# ---------------------------------------------------------------- refusals


def test_a_bad_meter_is_refused_before_anything_runs(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match="unknown meter"):
        measured(tree, "touch", str(tree.root / "ran"), meters=("powrcap",))
    with pytest.raises(MeterError, match="no energy meter can be used here"):
        measure(MeasureOrder(command=("touch", str(tree.root / "ran")), root=tree.root / "nowhere"), say=print)
    assert not (tree.root / "ran").exists()


def test_a_command_that_is_not_there_costs_no_idle_window(tree: PowercapTree) -> None:
    found = measured(tree, "no-such-program", idle_s=3600)
    assert found.ended.exit_code == 127
    assert text(found) == "no-such-program: not found: nothing was measured"
    assert json.loads(json.dumps(record(found), allow_nan=False))["runs"] == []


def test_measurements_wait_for_each_other(tree: PowercapTree) -> None:
    said: list[str] = []
    lock = tree.root.parent / "lock"
    ran = tree.root / "ran"
    order = MeasureOrder(command=("touch", str(ran)), root=tree.root, lock=lock)
    other = threading.Thread(target=lambda: measure(order, say=said.append))
    with exclusive(lock, waiting=lambda _: None, give_up=lambda: False):
        other.start()
        until(lambda: said)
        assert not ran.exists()
    other.join(30)
    assert ran.exists()
    assert said == [f"waiting: another measurement (process {os.getpid()}) runs here"]


def test_a_measurement_inside_another_does_not_wait_for_itself(tree: PowercapTree) -> None:
    code = (
        "import sys; from pathlib import Path; from jobs.measured.command import MeasureOrder, measure\n"
        "order = MeasureOrder(command=('true',), root=Path(sys.argv[1]), lock=Path(sys.argv[2]))\n"
        "measure(order, say=print)"
    )
    lock = tree.root.parent / "lock"
    command = [sys.executable, "-c", code, str(tree.root), str(lock)]
    with exclusive(lock, waiting=lambda _: None, give_up=lambda: False):
        inner = subprocess.run(
            ["sh", "-c", '"$@"; exit $?', "sh", *command], capture_output=True, text=True, timeout=60, check=False
        )
    assert f"inside another measurement (process {os.getpid()})" in inner.stderr
    assert "Cure: " in inner.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_one_run_loads_no_statistics() -> None:
    code = (
        "import sys, jobs.measured.command, jobs.measured.text\n"
        "print([name for name in ('numpy', 'scipy', 'pandas', 'pyarrow', 'torch') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
