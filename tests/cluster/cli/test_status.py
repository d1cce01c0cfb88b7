"""`status`: the counts of the run that wrote the folder, whichever way the sweep is named."""

import fcntl
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.cli.state import read_state
from cluster.sweep import Stop
from jobs.order import TrialOrder
from sipa.results.layout import SweepFolder
from sipa.trial import Outcome
from tests.cluster.cli.calling import Invoke, Sweep, ran, timed
from tests.cluster.scripted import failure_of
from tests.cluster.sweeps import fast


@pytest.mark.parametrize("way", ["fast", "results/fast", "fast.toml"])
def test_status_by_name_folder_and_file(way: str, swept: Sweep, invoke: Invoke) -> None:
    said = invoke("status", way)
    assert said.exit_code == 0
    assert said.stdout.startswith("fast: not running\n  done        6 of 6\n  failed      0\n")
    assert "end fast: 6 of 6 done" in said.stdout
    assert "x=1 repetition" in said.stdout


def test_status_counts_as_the_run_did(tmp_path: Path, invoke: Invoke) -> None:
    def script(order: TrialOrder) -> Outcome:
        return failure_of(order) if order.trial.treatment.parameters["x"] == 2 else timed(order)

    sweep = ran(tmp_path, script, max_failures=1)
    record = json.loads(invoke("status", "fast", "--json", "--last", "0").stdout)
    end = sweep.finished
    assert (record["planned"], record["committed"]) == (end.planned, end.committed)
    assert (len(record["failed"]), record["stopped"], record["remaining"]) == (end.failed, end.stopped, end.remaining)
    assert record["events"] == []
    assert end.remaining > 0


def test_an_attempt_that_may_be_repeated_is_not_failed(tmp_path: Path) -> None:
    stop = Stop()

    def script(order: TrialOrder) -> Outcome:
        stop.drain("enough")
        return failure_of(order)

    ran(tmp_path, script, stop=stop)
    state = read_state(SweepFolder(tmp_path / "results/fast"), now=datetime.now(UTC), last=1)
    assert (state.failed, state.remaining) == ((), 6)
    assert [event["event"] for event in state.events] == ["sweep-finished"]


def test_losing_the_history_loses_no_count(swept: Sweep) -> None:
    SweepFolder(swept.folder).events.unlink()
    state = read_state(SweepFolder(swept.folder), now=datetime.now(UTC), last=5)
    assert (state.planned, state.committed, state.remaining, state.spec_hash) == (6, 6, 0, None)


def test_running_means_that_somebody_holds_the_lock(swept: Sweep) -> None:
    folder = SweepFolder(swept.folder)
    with folder.lock.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = read_state(folder, now=datetime.now(UTC), last=0)
    assert running.running
    assert running.eta_s == 0
    assert not read_state(folder, now=datetime.now(UTC), last=0).running


def test_eta_counts_down(swept: Sweep) -> None:
    folder = SweepFolder(swept.folder)
    lines = folder.events.read_text().splitlines(keepends=True)
    folder.events.write_text("".join(line for line in lines[:2]))
    told = json.loads(lines[0])["forecast_s"]
    at = datetime.fromisoformat(json.loads(lines[0])["at"])
    with folder.lock.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(folder, now=at + timedelta(seconds=1), last=0)
    assert state.eta_s == pytest.approx(told - 1)


def test_an_edited_file_is_noticed(swept: Sweep, invoke: Invoke) -> None:
    assert json.loads(invoke("status", "fast.toml", "--json").stdout)["spec_edited"] is False
    swept.file.write_text(fast(repetitions=5))
    assert "is not the one that was run last" in invoke("status", "fast.toml").stdout


def test_a_name_that_is_nearly_right(swept: Sweep, invoke: Invoke) -> None:
    said = invoke("status", "fats")
    assert said.exit_code == 2
    assert "Did you mean 'fast'?" in said.stderr


def test_a_sweep_that_was_not_run(invoke: Invoke) -> None:
    Path("fast.toml").write_text(fast())
    said = invoke("status", "fast.toml")
    assert said.exit_code == 2
    assert "sipa-cluster run fast.toml" in said.stderr
