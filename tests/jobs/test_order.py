"""The order of a trial: written, read back, refused where it is none, and run by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.order import TRIAL_ORDERS
from jobs.workload import implementation, kinds
from sipa.errors import UsageError
from sipa.workloads import WORKLOADS
from tests.jobs.orders import command_order


def test_every_kind_that_is_declared_has_an_implementation() -> None:
    assert set(kinds()) == set(WORKLOADS)
    assert all(callable(implementation(kind)) for kind in kinds())


def test_an_order_comes_back_as_it_was_written(tmp_path: Path) -> None:
    order = command_order(tmp_path, "true {x} {y}", parameters={"x": 1, "y": True, "z": 0.5, "t": "1"})
    TRIAL_ORDERS.write(order, order.file)
    assert TRIAL_ORDERS.read(order.file) == order
    assert {name: type(value) for name, value in TRIAL_ORDERS.read(order.file).trial.treatment.parameters.items()} == {
        "command": str,
        "x": int,
        "y": bool,
        "z": float,
        "t": str,
    }


@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_a_file_that_is_no_order_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "trial.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"trial\.json"):
        TRIAL_ORDERS.read(path)
    ended = subprocess.run(
        [sys.executable, "-m", "jobs", "run", str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_trial_runs_by_hand(tmp_path: Path) -> None:
    order = command_order(tmp_path, f"{sys.executable} -c pass")
    TRIAL_ORDERS.write(order, order.file)
    ended = subprocess.run(
        [sys.executable, "-m", "jobs", "run", str(order.file)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["columns"]["work_units_measured"] == 1
