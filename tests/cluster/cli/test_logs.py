"""`logs`: attempts with failures first, one log by the beginning of an id, and following one that grows."""

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.cli.attempts import Ending, attempts
from cluster.cli.logs import read_lines
from jobs.order import TrialOrder
from sipa.results.layout import SweepFolder
from sipa.trial import Outcome
from tests.cluster.cli.calling import Invoke, Sweep, ran, timed
from tests.cluster.scripted import failure_of


def noisy(order: TrialOrder) -> Outcome:
    """Fails its first attempt at x=2, and leaves a log as a real trial does."""
    order.log.write_text(f"attempt {order.attempt}\nof {order.trial.trial_id}")
    if order.trial.treatment.parameters["x"] == 2 and order.attempt == 1:
        return failure_of(order)
    return timed(order)


@pytest.fixture
def failing(tmp_path: Path) -> Sweep:
    return ran(tmp_path, noisy, repetitions=1)


def failed_id(sweep: Sweep) -> str:
    return next((sweep.folder / "failures").iterdir()).name.partition(".")[0]


def test_list_has_failures_first_and_says_why(failing: Sweep, invoke: Invoke) -> None:
    lines = invoke("logs", "fast").stdout.splitlines()
    assert len(lines) == 1 + 4
    assert lines[1].split()[:3] == [failed_id(failing)[:8], "1", "failed"]
    assert lines[1].endswith("TrialCrash: scripted")
    assert all(" done " in line for line in lines[2:])


def test_list_as_json(failing: Sweep, invoke: Invoke) -> None:
    records = [json.loads(line) for line in invoke("logs", "fast", "--json").stdout.splitlines()]
    assert [each["ending"] for each in records] == ["failed", "done", "done", "done"]
    assert records[0]["failure"]["error"] == "TrialCrash"
    assert all(Path(each["log"]).is_file() for each in records)


def test_the_latest_attempt_by_the_beginning_of_its_id(failing: Sweep, invoke: Invoke) -> None:
    trial = failed_id(failing)
    said = invoke("logs", "fast", trial[:7])
    assert said.stdout == f"attempt 2\nof {trial}\n"
    assert said.stderr == ""


def test_an_earlier_attempt_and_why_it_failed(failing: Sweep, invoke: Invoke) -> None:
    said = invoke("logs", "fast", failed_id(failing), "--attempt", "1")
    assert said.stdout.startswith("attempt 1\n")
    assert "attempt 1 failed in inference: scripted" in said.stderr


def test_lines_as_json(failing: Sweep, invoke: Invoke) -> None:
    trial = failed_id(failing)
    records = [json.loads(line) for line in invoke("logs", "fast", trial, "--json", "-f").stdout.splitlines()]
    assert records[0] == {"trial_id": trial, "attempt": 2, "line": "attempt 2"}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["zzz"], "no trial begins so"),
        ([""], "3 trials begin so"),
        (["--attempt", "1"], "need a TRIAL"),
    ],
)
def test_what_is_not_there_is_said(arguments: list[str], hint: str, failing: Sweep, invoke: Invoke) -> None:
    said = invoke("logs", "fast", *arguments)
    assert said.exit_code == 2
    assert hint in said.stderr


def test_an_attempt_that_is_not_there(failing: Sweep, invoke: Invoke) -> None:
    said = invoke("logs", "fast", failed_id(failing), "--attempt", "7")
    assert said.exit_code == 2
    assert "There are: 1, 2." in said.stderr


def test_a_planned_trial_without_a_log(swept: Sweep, invoke: Invoke) -> None:
    folder = SweepFolder(swept.folder)
    trial = next(folder.trials.iterdir()).stem
    for path in folder.logs.iterdir():
        path.unlink()
    assert "not started yet" in invoke("logs", "fast", trial).stderr


def test_endings_come_from_files(failing: Sweep) -> None:
    folder = SweepFolder(failing.folder)
    trial = failed_id(failing)
    folder.log(trial, 3).write_text("")
    folder.duplicates.mkdir()
    (folder.duplicates / f"{trial}.3.parquet").touch()
    folder.log("f" * 16, 1).write_text("")
    folder.workspace("f" * 16, 1).mkdir(parents=True)
    assert endings(folder)["f" * 16, 1] is Ending.LOST
    with folder.lock.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = endings(folder)
    assert found["f" * 16, 1] is Ending.RUNNING
    assert [found[trial, number] for number in (1, 2, 3)] == [Ending.FAILED, Ending.DONE, Ending.DUPLICATE]


def endings(folder: SweepFolder) -> dict[tuple[str, int], Ending]:
    return {(each.trial_id, each.number): each.ending for each in attempts(folder)}


def test_following_prints_what_is_written_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntw")
    pieces = [b"o\nthr\xc3", b"\xa9e", b"\nlast"]
    calls: list[Callable[[], None]] = []

    def write() -> None:
        calls.append(write)
        with path.open("ab") as file:
            file.write(pieces.pop(0))

    lines = list(read_lines(path, ended=lambda: not pieces, wait=write))
    assert lines == ["one", "two", "thr\u00e9e", "last"]
    assert len(calls) == 3


def test_no_log_is_an_empty_one(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "none", ended=lambda: True, wait=lambda: None)) == []
