"""The loop over scripted workers and a real folder: retries, limits, stop rule, resume, environments."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

from cluster.events import Event, SweepFinished, TreatmentStopped, TrialCommitted, TrialFailed, to_record
from cluster.loop import Stop
from cluster.survey import Request, survey
from cluster.sweep import run, run_with
from jobs.order import TrialOrder
from sipa.errors import EnvironmentChanged, Interrupted, MeterError, ResultsError, UsageError
from sipa.results.schema import to_json
from sipa.results.store import read_rows
from sipa.spec import parse_spec
from tests.cluster.scripted import ENVIRONMENT, Script, ScriptedWorkers, failure_of, result_of
from tests.cluster.sweeps import fast


def request(folder: Path, text: str | None = None, **options: Any) -> Request:
    spec = parse_spec(text or fast(), folder / "sweep.toml")
    return Request(spec=spec, results=folder / "results", lock=folder / "lock", **options)


def go(
    asked: Request, script: Script = result_of, *, stop: Stop | None = None, **workers: Any
) -> tuple[SweepFinished, list[Event], ScriptedWorkers]:
    events: list[Event] = []
    made = ScriptedWorkers(script, **workers)
    finished = run_with(survey(asked), made, emit=events.append, stop=stop or Stop())
    return finished, events, made


def rows(asked: Request) -> pd.DataFrame:
    return pd.read_parquet(asked.folder / "trials")


def test_a_sweep_runs_every_trial_once_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    asked = request(tmp_path)
    finished, _, workers = go(asked)
    assert (finished.exit_code, finished.committed, finished.remaining) == (0, 6, 0)
    assert len(workers.orders) == len(rows(asked)) == 6
    assert [order.position for order in workers.orders] == list(range(6))
    assert not survey(asked).remaining


def test_the_row_of_the_event_is_the_row_of_the_file(tmp_path: Path) -> None:
    asked = request(tmp_path)
    _, events, _ = go(asked)
    for event in events:
        if isinstance(event, TrialCommitted):
            stored = read_rows(asked.folder / "trials" / f"{event.trial_id}.parquet")[0]
            assert to_record(event, "now")["row"] == to_json(stored)


def _x(order: TrialOrder) -> Any:
    return order.trial.treatment.parameters["x"]


def test_a_crash_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    asked = request(tmp_path, fast(factors={"x": "[1, 2]"}, repetitions=1, retries=1))
    finished, events, _ = go(asked, lambda order: failure_of(order) if _x(order) == 1 else result_of(order))
    assert (finished.exit_code, finished.committed, finished.failed) == (6, 1, 1)
    assert [event.again for event in events if isinstance(event, TrialFailed)] == [True, False]
    assert len(list((asked.folder / "failures").iterdir())) == 2


def test_what_failed_for_good_is_left_alone_until_asked_for(tmp_path: Path) -> None:
    text = fast(factors={"x": "[1, 2]"}, repetitions=1)
    go(request(tmp_path, text), lambda order: failure_of(order, "WorkloadError"))
    state = survey(request(tmp_path, text))
    assert not state.remaining
    assert len(state.failed) == 2
    again = request(tmp_path, text, retry_failed=True)
    finished, _, workers = go(again)
    assert finished.exit_code == 0
    assert {order.attempt for order in workers.orders} == {2}


def test_too_many_failures_end_the_run_and_trials_remain(tmp_path: Path) -> None:
    asked = request(tmp_path, fast(max_failures=2))
    finished, _, _ = go(asked, lambda order: failure_of(order, "WorkloadError"))
    assert (finished.exit_code, finished.failed, finished.remaining) == (7, 2, 4)
    assert "max_failures" in finished.reason


def test_a_drain_finishes_the_running_trial_only(tmp_path: Path) -> None:
    stop = Stop()

    def script(order: Any) -> Any:
        stop.drain("Ctrl-C")
        return result_of(order)

    finished, events, _ = go(request(tmp_path), script, stop=stop)
    assert (finished.exit_code, finished.committed, finished.remaining) == (7, 1, 5)
    assert [event.left for event in events if isinstance(event, TrialCommitted)] == [5]
    finished, _, _ = go(request(tmp_path))
    assert (finished.exit_code, finished.committed) == (0, 6)


def test_an_abort_leaves_no_failure_behind(tmp_path: Path) -> None:
    stop = Stop()

    def script(order: Any) -> Any:
        stop.abort()
        return failure_of(order, "TrialError")

    asked = request(tmp_path)
    with pytest.raises(Interrupted):
        go(asked, script, stop=stop)
    assert not list((asked.folder / "failures").iterdir())
    assert len(survey(asked).remaining) == 6


def test_a_drain_while_a_trial_fails_does_not_start_it_again(tmp_path: Path) -> None:
    stop = Stop()

    def script(order: Any) -> Any:
        stop.drain("Ctrl-C")
        return failure_of(order)

    finished, _, workers = go(request(tmp_path), script, stop=stop)
    assert len(workers.orders) == 1
    assert (finished.exit_code, finished.remaining) == (7, 6)


STOPPING = fast(factors={"x": "[1, 2]"}, repetitions=8).replace(
    "repetitions = 8", 'repetitions = 8\nstop = { metric = "window_s", half_width = 0.05, min_repetitions = 3 }'
)


def noisy(order: Any) -> Any:
    """x = 1 is quiet, x = 2 is not."""
    spread = 0.001 if order.trial.treatment.parameters["x"] == 1 else 0.5
    return result_of(order, window_s=1.0 + spread * (order.trial.repetition % 3 - 1))


def test_the_stop_rule_ends_a_treatment_that_is_known_and_a_replay_agrees(tmp_path: Path) -> None:
    asked = request(tmp_path, STOPPING)
    finished, events, _ = go(asked, noisy)
    counts = rows(asked).groupby("x").size()
    assert counts[1] == 3
    assert counts[2] == 8
    assert (finished.exit_code, finished.stopped, finished.remaining) == (0, 5, 0)
    assert [event.repetitions for event in events if isinstance(event, TreatmentStopped)] == [3]
    replay = survey(asked)
    assert not replay.remaining
    assert replay.skipped == 5


def test_rows_of_another_environment_are_not_mixed_in_silently(tmp_path: Path) -> None:
    go(request(tmp_path, fast(repetitions=1)))
    more = request(tmp_path, fast(repetitions=2))
    other = {**ENVIRONMENT, "packages": {"numpy": "2.1"}}
    with pytest.raises(EnvironmentChanged, match=r"packages\.numpy: 2\.0 became 2\.1"):
        go(more, environment=other)
    assert len(rows(more)) == 3
    accepted = request(tmp_path, fast(repetitions=2), accept_environment=True)
    assert go(accepted, environment=other)[0].exit_code == 0


def test_a_replicate_measures_the_same_treatments_anew(tmp_path: Path) -> None:
    go(request(tmp_path))
    go(request(tmp_path, replicate="second"))
    frame = rows(request(tmp_path))
    assert frame.groupby("replicate").size().to_dict() == {"": 6, "second": 6}
    assert frame["treatment_id"].nunique() == 3
    state = survey(request(tmp_path))
    assert not state.superseded


def test_events_are_kept_and_losing_them_loses_no_result(tmp_path: Path) -> None:
    asked = request(tmp_path)
    go(asked)
    journal = asked.folder / "events.jsonl"
    assert journal.read_text().count("trial-committed") == 6
    journal.unlink()
    assert not survey(asked).remaining


def test_a_retry_after_a_kill_is_a_new_attempt(tmp_path: Path) -> None:
    """A log without an outcome is what a killed controller leaves."""
    asked = request(tmp_path)
    first = survey(asked).remaining[0].trial_id
    (asked.folder / "logs").mkdir(parents=True)
    (asked.folder / "logs" / f"{first}.1.log").touch()
    _, _, workers = go(asked)
    assert next(order for order in workers.orders if order.trial.trial_id == first).attempt == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[limits]", '[results]\nmirror = "me@host:/x"\n\n[limits]'), "mirror"),
    ],
)
def test_what_this_version_cannot_do_is_refused_not_ignored(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        run(request(tmp_path, fast().replace(*change)), ray=False, emit=lambda _: None, stop=Stop())
    assert not (tmp_path / "results").exists()


def test_measured_energy_on_a_machine_without_counters_is_refused_with_the_cure(tmp_path: Path) -> None:
    text = fast().replace('meter = "model"', 'meter = "powercap"').replace(MODEL_TABLE, "")
    with pytest.raises(MeterError, match="modprobe") as refused:
        run(request(tmp_path, text, root=tmp_path), ray=False, emit=lambda _: None, stop=Stop())
    assert refused.value.exit_code == 5
    assert not (tmp_path / "results/fast").exists()


MODEL_TABLE = """[measurement.model]
idle_w = 10
max_w = 20

"""


def test_two_runs_of_one_sweep_at_once_are_refused(tmp_path: Path) -> None:
    asked = request(tmp_path)

    def script(order: TrialOrder) -> Any:
        with pytest.raises(ResultsError, match="another process"):
            run(asked, ray=False, emit=lambda _: None, stop=Stop())
        return result_of(order)

    asked.folder.mkdir(parents=True)
    with FileLock(asked.folder / ".lock"):
        go(asked, script)


def test_a_value_that_cannot_be_stored_fails_its_trial_and_the_sweep_goes_on(tmp_path: Path) -> None:
    def script(order: TrialOrder) -> Any:
        return result_of(order, passes=2**70) if _x(order) == 1 else result_of(order)

    finished, events, _ = go(request(tmp_path), script)
    assert (finished.exit_code, finished.committed, finished.failed) == (6, 4, 2)
    assert all("passes" in event.message for event in events if isinstance(event, TrialFailed))


def test_a_finished_sweep_that_was_edited_keeps_the_edit(tmp_path: Path) -> None:
    go(request(tmp_path))
    fewer = request(tmp_path, fast(factors={"x": "[1, 2]"}))
    finished = run(fewer, ray=False, emit=lambda _: None, stop=Stop())
    assert (finished.exit_code, finished.planned, finished.remaining) == (0, 4, 0)
    assert len(rows(fewer)) == 4
    assert len(pd.read_parquet(fewer.folder / "plan.parquet")) == 4
    assert (fewer.folder / "spec" / f"{fewer.spec.spec_hash}.toml").exists()


def test_a_reader_that_goes_away_drains_the_sweep(tmp_path: Path) -> None:
    def gone(event: Event) -> None:
        if isinstance(event, TrialCommitted):
            raise BrokenPipeError

    asked = request(tmp_path)
    finished = run_with(survey(asked), ScriptedWorkers(), emit=gone, stop=Stop())
    assert (finished.exit_code, finished.committed) == (7, 1)
    assert len(rows(asked)) == 1


def test_what_the_stop_rule_spares_is_not_left_after_a_drain(tmp_path: Path) -> None:
    stop = Stop()

    def script(order: TrialOrder) -> Any:
        if order.position == 2:
            stop.drain("Ctrl-C")
        return result_of(order, window_s=1.0 + 0.001 * order.trial.repetition)

    text = STOPPING.replace("x = [1, 2]", "x = [1]")
    finished, _, _ = go(request(tmp_path, text), script, stop=stop)
    assert (finished.exit_code, finished.committed, finished.stopped, finished.remaining) == (0, 3, 5, 0)


def test_a_folder_that_cannot_be_made_is_an_error_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(ResultsError, match="--results"):
        run(request(tmp_path), ray=False, emit=lambda _: None, stop=Stop())
