"""Fixtures of the command line's tests; what they give is in `tests.cluster.cli.calling`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cli.calling import Invoke, Sweep, call, ran


@pytest.fixture
def invoke(tmp_path: Path) -> Iterator[Invoke]:
    """`invoke("plan", "sweep.toml")`: the command line, whole, in an empty folder."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield call
    os.chdir(before)


@pytest.fixture
def swept(tmp_path: Path) -> Sweep:
    """A finished sweep of three levels and two repetitions."""
    return ran(tmp_path)
