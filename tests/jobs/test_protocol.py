"""One trial on one node, with real processes: what ends up in the row, and how every way of failing is told."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.order import TRIAL_ORDERS
from jobs.protocol import run_trial
from jobs.trial_process import as_trial_error
from jobs.watch import Progress
from sipa.errors import WorkloadError
from sipa.results.schema import to_table
from sipa.spec.model import CommandOutput, Gates, Meter
from sipa.trial import TrialFailure, TrialResult
from sipa.workloads import ValueType
from tests.jobs.orders import command_order, python
from tests.jobs.running import failure, result, session
from tests.sipa.energy.powercap_tree import LiveFeeder, PowercapTree


def test_a_row_is_complete_and_fits_the_schema(tmp_path: Path) -> None:
    order = command_order(tmp_path, python("sum(range(10**6))"))
    row = result(order).row
    table = to_table(row)
    assert table.num_rows == 1
    assert row["energy_source"] == "model"
    assert row["energy_total_j"] is None
    assert row["energy_quality"] == ["machine: estimated"]
    assert row["model_idle_w"] == 20
    assert row["work_units_measured"] == 1
    assert row["time_per_work_unit_s"] == pytest.approx(row["window_s"])
    assert row["duration_process_s"] > row["window_s"]


def test_metrics_and_work_come_from_the_json_line(tmp_path: Path) -> None:
    code = "import json; print('talk'); print(json.dumps({'accuracy': 0.5, 'tokens': 250, 'label': 'x'}))"
    output = CommandOutput(
        metrics=(("accuracy", ValueType.NUMBER), ("label", ValueType.TEXT)), work_unit="token", work_key="tokens"
    )
    row = result(command_order(tmp_path, python(code.replace("{", "{{").replace("}", "}}")), output=output)).row
    assert (row["accuracy"], row["label"]) == (0.5, "x")
    assert row["work_units_measured"] == 250
    assert row["images_measured"] is None
    assert row["energy_estimated_per_work_unit_j"] == pytest.approx(row["energy_estimated_j"] / 250)


def test_a_short_command_is_repeated_until_the_window_is_long_enough(tmp_path: Path) -> None:
    row = result(command_order(tmp_path, python("pass"), min_window_s=0.4)).row
    assert row["window_s"] >= 0.4
    assert row["passes"] == row["work_units_measured"] > 1


def test_marker_lines_open_and_close_the_window(tmp_path: Path) -> None:
    steps = [
        "time.sleep(.8)",
        "print('GO', flush=True)",
        "time.sleep(.5)",
        "print('STOP', flush=True)",
        "time.sleep(.3)",
    ]
    code = "; ".join(["import time", *steps])
    output = CommandOutput(begin_marker="GO", end_marker="STOP")
    row = result(command_order(tmp_path, python(code), output=output)).row
    assert 0.3 < row["window_s"] < 0.75
    assert row["duration_load_s"] > 0.75
    assert row["duration_score_s"] > 0.2


@pytest.mark.parametrize(
    ("code", "output", "error", "words"),
    [
        ("raise SystemExit(3)", CommandOutput(), "TrialCrash", "exited with 3"),
        ("import os; os.kill(os.getpid(), 11)", CommandOutput(), "TrialCrash", "killed by signal 11"),
        ("pass", CommandOutput(metrics=(("a", ValueType.NUMBER),)), "TrialOutputError", "no JSON line"),
        (
            "print('{{\\'b\\': 1}}'.replace(chr(39), chr(34)))",
            CommandOutput(metrics=(("a", ValueType.NUMBER),)),
            "TrialOutputError",
            "no key 'a'",
        ),
        (
            "print('{{\\'a\\': true}}'.replace(chr(39), chr(34)))",
            CommandOutput(metrics=(("a", ValueType.NUMBER),)),
            "TrialOutputError",
            "declares a number",
        ),
        ("pass", CommandOutput(begin_marker="GO", end_marker="STOP"), "TrialOutputError", "'GO' never came"),
    ],
)
def test_a_workload_that_fails_is_a_failure_with_class_and_reason(
    tmp_path: Path, code: str, output: CommandOutput, error: str, words: str
) -> None:
    found = failure(command_order(tmp_path, python(code), output=output))
    assert found.error == error
    assert words in found.message


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    found = failure(command_order(tmp_path, "no-such-program --x"))
    assert found.error == "WorkloadError"
    assert "no-such-program" in found.message


def test_a_hang_is_killed_past_its_deadline_with_all_that_it_started(tmp_path: Path) -> None:
    marker = tmp_path / "grandchild"
    (tmp_path / "child.py").write_text(
        f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(99)"
    )
    (tmp_path / "hang.py").write_text("import subprocess, sys; subprocess.run([sys.executable, 'child.py'])")
    found = failure(command_order(tmp_path, f"{sys.executable} hang.py", deadline_s=3.0))
    assert found.error == "TrialTimeout"
    assert "deadline_s" in found.message
    pid = int(marker.read_text())
    assert _gone(pid)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "TrialOutOfMemory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "TrialOutOfMemory"),
        (RuntimeError("CUDA out of memory"), "TrialOutOfMemory"),
        (RuntimeError("shapes do not match"), "TrialCrash"),
        (WorkloadError("no such weights"), "WorkloadError"),
    ],
)
def test_what_a_workload_raises_is_classified(error: Exception, kind: str) -> None:
    assert type(as_trial_error(error)).__name__ == kind


def test_a_kill_by_the_kernel_counts_as_out_of_memory(tmp_path: Path) -> None:
    """The kernel's own count of such kills rises while the trial dies of signal 9."""
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "proc/stat").write_text(Path("/proc/stat").read_text())
    (root / "proc/vmstat").write_text("oom_kill 4\n")
    script = tmp_path / "eat.py"
    script.write_text(
        f"import os; open({str(root / 'proc/vmstat')!r}, 'w').write('oom_kill 5\\n'); os.kill(os.getppid(), 9)"
    )
    found = failure(command_order(tmp_path, f"{sys.executable} eat.py", root=root))
    assert found.error == "TrialOutOfMemory"


def test_a_trial_that_is_killed_otherwise_crashed(tmp_path: Path) -> None:
    found = failure(command_order(tmp_path, python("import os; os.kill(os.getppid(), 9)")))
    assert found.error == "TrialCrash"
    assert "signal 9" in found.message


def test_gates_refuse_or_flag_foreign_cpu_time(tmp_path: Path) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        code = python("import time; time.sleep(.5)")
        flagged = result(command_order(tmp_path, code, max_foreign_cores=0.05)).row
        refused = failure(command_order(tmp_path, code, max_foreign_cores=0.05, gates=Gates.REFUSE))
    finally:
        busy.kill()
        busy.wait()
    assert any("foreign CPU" in flag for flag in flagged["flags"])
    assert flagged["foreign_cores"] > 0.3
    assert refused.error == "GateTripped"


def test_own_work_is_not_foreign(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text("import time\nwhile time.process_time() < .6: pass\n")
    row = result(command_order(tmp_path, f"{sys.executable} work.py")).row
    assert row["cpu_utilisation"] * row["window_s"] * os.cpu_count() - row["foreign_cpu_s"] > 0.4


def test_a_measured_trial_adds_up(tmp_path: Path) -> None:
    """Counters fed at a known power: phases lie inside the process, net and idle make gross."""
    tree = PowercapTree(tmp_path / "tree")
    order = command_order(
        tmp_path,
        python("import time; time.sleep(.5)"),
        root=tree.root,
        meter=(Meter.POWERCAP,),
        model=None,
        idle_s=0.4,
    )
    with LiveFeeder(tree, {"pkg0": 50.0, "pkg1": 40.0, "dram0": 5.0, "dram1": 5.0}):
        found = result(order)
    row = found.row
    assert row["energy_source"] == "powercap"
    assert row["power_total_w"] == pytest.approx(100, rel=0.1)
    assert row["energy_total_j"] == pytest.approx(row["energy_pkg_j"] + row["energy_dram_j"])
    assert row["energy_pkg_j"] <= row["energy_pkg_process_j"]
    assert row["energy_net_j"] + row["power_idle_total_w"] * row["window_s"] == pytest.approx(row["energy_total_j"])
    assert row["energy_estimated_j"] is None
    assert {each["phase"] for each in found.phases} == {"inference", "process", "idle_before", "idle_after"}


def test_one_idle_window_serves_two_trials(tmp_path: Path) -> None:
    order = command_order(tmp_path, python("pass"), idle_s=0.3)
    phases: list[str] = []
    with session(order, tmp_path / "lock") as held:
        for _ in range(2):
            assert isinstance(run_trial(order, held, lambda each: phases.append(each.phase)), TrialResult)
    assert phases.count("idle") == 3


def test_the_lock_makes_a_second_trial_wait(tmp_path: Path) -> None:
    order = command_order(tmp_path, python("pass"))
    code = (
        f"import fcntl, time; file = open({str(tmp_path / 'lock')!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX); "
        "print(1, flush=True); time.sleep(1)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    phases: list[Progress] = []
    with session(order, tmp_path / "lock") as held:
        outcome = run_trial(order, held, phases.append)
    holder.wait()
    holder.stdout.close()
    assert isinstance(outcome, TrialResult)
    assert phases[0].phase == "waiting"


def test_an_abort_kills_the_running_trial(tmp_path: Path) -> None:
    order = command_order(tmp_path, python("import time; time.sleep(60)"))
    abort = threading.Event()
    threading.Timer(1.0, abort.set).start()
    began = time.monotonic()
    with session(order, tmp_path / "lock") as held:
        held.abort = abort.is_set
        outcome = run_trial(order, held, lambda _: None)
    assert isinstance(outcome, TrialFailure)
    assert time.monotonic() - began < 30


def test_a_trial_dies_with_the_worker_that_watches_it(tmp_path: Path) -> None:
    """kill -9 of the worker: the lifeline ends the trial and what it started."""
    pid_file = tmp_path / "pid"
    script = tmp_path / "long.py"
    script.write_text(f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(99)")
    order = command_order(tmp_path, f"{sys.executable} long.py")
    TRIAL_ORDERS.write(order, order.file)
    code = (
        "from pathlib import Path; import threading\n"
        "from jobs.order import TRIAL_ORDERS; from tests.jobs.running import session\n"
        "from jobs.protocol import run_trial\n"
        f"order = TRIAL_ORDERS.read(Path({str(order.file)!r}))\n"
        f"with session(order, Path({str(tmp_path / 'lock')!r})) as held:\n"
        "    run_trial(order, held, lambda p: None)"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert _gone(int(pid_file.read_text()))


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_without_a_meter_time_and_work_are_measured_and_energy_is_null(tmp_path: Path) -> None:
    row = result(command_order(tmp_path, python("pass"), meter=(), model=None, idle_s=0.1)).row
    assert row["energy_source"] == "none"
    assert row["valid"]
    assert row["window_s"] > 0
    assert all(value is None for name, value in row.items() if name.startswith("energy_") and name.endswith("_j"))
    assert not row["flags"]


def test_an_idle_window_that_was_cut_short_gives_no_net_energy(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path / "tree")
    order = command_order(
        tmp_path,
        python("import time; time.sleep(.3)"),
        root=tree.root,
        meter=(Meter.POWERCAP,),
        model=None,
        idle_s=0.4,
    )
    seen: list[str] = []
    with session(order, tmp_path / "lock") as held, LiveFeeder(tree, dict.fromkeys(tree.ids, 40.0)):
        held.abort = lambda: seen.count("idle") == 2
        found = run_trial(order, held, lambda each: seen.append(each.phase))
    assert isinstance(found, TrialResult)
    assert "idle_after" not in {each["phase"] for each in found.phases}
    assert found.row["energy_net_j"] == pytest.approx(
        found.row["energy_total_j"] - found.row["power_idle_total_w"] * found.row["window_s"]
    )
    assert held.idle is None
