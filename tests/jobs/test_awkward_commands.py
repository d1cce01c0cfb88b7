"""Commands as they are in the wild: they fork, flood, linger, change their inputs, say odd things."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.command import inputs_digest
from jobs.protocol import run_trial
from sipa.spec.model import CommandOutput
from sipa.trial import TrialResult
from sipa.workloads import ValueType
from tests.jobs.orders import command_order
from tests.jobs.running import failure, result, session


def test_a_process_group_of_its_own_does_not_escape_the_deadline(tmp_path: Path) -> None:
    """timeout(1) makes its own group; the session is what ends."""
    found = failure(command_order(tmp_path, "timeout 77 sleep 76.5", deadline_s=1.5))
    assert found.error == "TrialTimeout"
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if b"76.5" in _bytes(entry)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("value", "kind"), [(2**70, ValueType.INTEGER), ("\\ud800", ValueType.TEXT), ("NaN", ValueType.NUMBER)]
)
def test_a_value_that_no_column_can_hold_is_the_trials_failure(tmp_path: Path, value: object, kind: ValueType) -> None:
    text = f'"{value}"' if kind is ValueType.TEXT else value
    (tmp_path / "say.py").write_text(f"print(r'{{\"n\": {text}}}')")
    output = CommandOutput(metrics=(("n", kind),))
    assert failure(command_order(tmp_path, f"{sys.executable} say.py", output=output)).error == "TrialOutputError"


@pytest.mark.parametrize("work", ["0", "-1", "2.5"])
def test_work_that_is_none_is_refused(tmp_path: Path, work: str) -> None:
    (tmp_path / "say.py").write_text(f"print('{{\"n\": {work}}}')")
    output = CommandOutput(work_unit="image", work_key="n")
    assert "must be more than 0" in failure(command_order(tmp_path, f"{sys.executable} say.py", output=output)).message


def test_what_keeps_the_output_open_is_left_behind_and_said(tmp_path: Path) -> None:
    row = result(command_order(tmp_path, "sh -c 'sleep 45.25 & echo done'", deadline_s=30.0)).row
    assert any(flag.startswith("output: sh ended") for flag in row["flags"])
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if b"45.25" in _bytes(entry)]


def test_endless_output_without_a_line_end_is_not_kept_in_memory(tmp_path: Path) -> None:
    order = command_order(tmp_path, "head -c 150000000 /dev/zero")
    row = result(order).row
    assert order.log.stat().st_size == 150_000_000
    assert row["memory_peak_bytes"] is None or row["memory_peak_bytes"] < 100e6


def test_an_input_that_changes_while_the_command_runs_fails_the_trial(tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text("open('p.py', 'a').write('#')")
    output = CommandOutput(inputs=("p.py",))
    order = command_order(tmp_path, f"{sys.executable} p.py", output=output)
    digest = inputs_digest(output, order.trial.treatment.parameters, tmp_path)
    treatment = replace(order.trial.treatment, contents={"inputs_sha256": digest or ""})
    found = failure(replace(order, trial=replace(order.trial, treatment=treatment)))
    assert "changed since the sweep was planned" in found.message


def test_the_command_runs_in_the_users_environment(tmp_path: Path) -> None:
    order = command_order(tmp_path, "sh -c 'echo threads=$OMP_NUM_THREADS unbuffered=$PYTHONUNBUFFERED'")
    with session(order, tmp_path / "lock") as held:
        held.variables = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
        assert isinstance(run_trial(order, held, lambda _: None), TrialResult)
    assert "threads=1 unbuffered=\n" in order.log.read_text()


def test_memory_is_the_trials_own_not_its_starters(tmp_path: Path) -> None:
    """exec hands on the starter's peak; the controller's size must not stand in the rows."""
    ballast = bytearray(600_000_000)
    row = result(command_order(tmp_path, "true")).row
    assert len(ballast) > 0
    assert row["memory_peak_bytes"] is None or row["memory_peak_bytes"] < 200e6
