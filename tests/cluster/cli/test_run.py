"""`run`: real trials of a command that takes a moment, the same again, and what signals do."""

import json
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from cluster.cli.run import next_steps
from cluster.cli.signals import stopping
from cluster.events import SweepFinished
from cluster.survey import Request
from sipa.spec import parse_spec
from tests.cluster.cli.calling import Invoke, Sweep
from tests.cluster.sweeps import cli, fast

ONE = {"x": "[1]"}
MODEL = "[measurement.model]\nidle_w = 10\nmax_w = 20\n"
MEASURED = fast().replace('meter = "model"', 'meter = "powercap"').replace(MODEL, "")


def test_dry_run_writes_nothing_and_shows_the_plan(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast())
    said = invoke("run", "fast.toml", "--dry-run")
    assert said.exit_code == 0
    assert "6 to run" in said.stdout
    assert "nothing was started" in said.stderr
    assert not Path("results").exists()
    assert json.loads(invoke("run", "fast.toml", "--dry-run", "--json").stdout)["remaining"] == 6


def test_run_measures_prints_the_table_and_runs_no_trial_twice(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast(factors=ONE))
    first = invoke("run", "fast.toml")
    assert first.exit_code == 0
    assert "time per run" in first.stdout
    lines = first.stderr.splitlines()
    # Another test may hold the node's lock, so trials may wait.
    words = [line.split()[1] for line in lines if line.split()[1] != "wait"]
    assert words[:6] == ["sweep", "start", "done", "start", "done", "end"]
    assert "\x1b" not in first.stderr
    assert "\r" not in first.stderr
    assert len(pd.read_parquet("results/fast/trials")) == 2
    again = invoke("run", "fast.toml")
    assert again.exit_code == 0
    assert "nothing to do" in again.stderr
    assert "start" not in [line.split()[1] for line in again.stderr.splitlines()[:2]]


def test_json_is_events_on_stdout_and_nothing_else(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast(factors=ONE, repetitions=1))
    said = invoke("run", "fast.toml", "--json")
    records = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.stderr == ""
    assert records[0]["event"] == "sweep-started"
    assert records[-1]["event"] == "sweep-finished"
    committed = next(each for each in records if each["event"] == "trial-committed")
    exported = [json.loads(line) for line in invoke("export", "fast", "--json").stdout.splitlines()]
    assert [committed["row"]] == exported


def test_failed_trials_are_exit_6_and_are_left_alone_until_asked(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast(command="false {x}", factors=ONE, repetitions=1, retries=0))
    said = invoke("run", "fast.toml")
    assert said.exit_code == 6
    assert "sipa-cluster logs" in said.stderr
    assert said.stdout == ""
    assert invoke("run", "fast.toml").exit_code == 6
    assert len(list(Path("results/fast/failures").iterdir())) == 1
    assert invoke("run", "fast.toml", "--retry-failed").exit_code == 6
    assert len(list(Path("results/fast/failures").iterdir())) == 2


def test_too_many_failures_is_exit_7(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast(command="false {x}", retries=0))
    said = invoke("run", "fast.toml", "--max-failures", "1")
    assert said.exit_code == 7
    assert "drain 1 trial failed for good" in said.stderr
    assert "5 trials left" in said.stderr


def test_measured_energy_on_a_machine_without_counters_is_exit_5(tmp_path: Path, invoke: Invoke) -> None:
    Path("fast.toml").write_text(MEASURED)
    (tmp_path / "root").mkdir()
    said = invoke("run", "fast.toml", "--root", "root")
    assert said.exit_code == 5
    assert said.stderr.count("error: ") == 1


@pytest.mark.parametrize(("signals", "code"), [([signal.SIGINT], 7), ([signal.SIGTERM], 7), ([signal.SIGINT] * 2, 130)])
def test_signals_finish_or_stop_the_running_trial(signals: list[signal.Signals], code: int, tmp_path: Path) -> None:
    (tmp_path / "fast.toml").write_text(fast(command="sleep {x}", factors={"x": "[2, 3]"}))
    with subprocess.Popen(
        cli("run", "fast.toml"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        seen = next(line for line in process.stderr if " start " in line)
        process.send_signal(signals[0])
        seen += next(line for line in process.stderr if " drain " in line)
        for number in signals[1:]:
            process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == code, (seen, rest)
    rows = len(list((tmp_path / "results/fast/trials").iterdir()))
    assert rows == (1 if code == 7 else 0)
    assert ("Ctrl-C again stops at once" in seen) == (signals[0] is signal.SIGINT)
    assert "Traceback" not in rest


@pytest.mark.slow
def test_ray_leaves_the_signals_alone(tmp_path: Path) -> None:
    """Ray installs a handler of its own for SIGTERM, which would kill the controller."""
    (tmp_path / "fast.toml").write_text(fast(command="sleep {x}", factors={"x": "[2, 3]"}))
    with subprocess.Popen(cli("run", "fast.toml", "--ray"), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if " start " in line)
        process.terminate()
        rest = process.stderr.read()
    assert process.returncode == 7, rest
    assert len(list((tmp_path / "results/fast/trials").iterdir())) == 1


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    asked: list[str] = []
    with stopping(drain=asked.append, abort=lambda: asked.append("abort")):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert asked == ["Ctrl-C", "SIGTERM", "abort"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_next_steps_name_what_there_is_to_do(swept: Sweep) -> None:
    finished = SweepFinished(
        sweep="fast", exit_code=7, planned=9, committed=4, failed=2, stopped=0, remaining=3, reason="", wall_s=1.0
    )
    plain = Request(spec=parse_spec(fast(), "fast.toml"), results=Path("results"))
    assert [step.rpartition(": ")[2] for step in next_steps(finished, plain)] == [
        "sipa-cluster run fast.toml",
        "sipa-cluster logs results/fast",
        "sipa-cluster report results/fast",
    ]
    elsewhere = Request(spec=parse_spec(fast(), "my sweep.toml"), results=Path("out put"), replicate="may")
    assert [step.rpartition(": ")[2] for step in next_steps(finished, elsewhere, ray=True)] == [
        "sipa-cluster run 'my sweep.toml' --replicate may --results 'out put' --ray",
        "sipa-cluster logs 'out put/fast'",
        "sipa-cluster report 'out put/fast'",
    ]
