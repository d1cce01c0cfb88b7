"""How long `sipa-cluster --help` takes: a user meets it at every press of the tab key. Expected below 0.3 s.

The bound is a ratio to importing click alone on the same machine, because a second on one is a tenth on another.
"""

import subprocess
import sys
import time
from typing import Any

import pytest

HELP = [sys.executable, "-m", "cluster.cli", "--help"]
CLICK = [sys.executable, "-c", "import click"]
ROUNDS = 7
MOST = 6.0
"""Times as long as importing click: an eager import of pandas, pyarrow or pydantic is far beyond it."""


def seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


@pytest.mark.bench
def test_help(benchmark: Any) -> None:
    benchmark.pedantic(seconds, (HELP,), rounds=ROUNDS, warmup_rounds=1)
    fastest = min(seconds(HELP) for _ in range(ROUNDS))
    click = min(seconds(CLICK) for _ in range(ROUNDS))
    benchmark.extra_info["help_s"] = fastest
    benchmark.extra_info["import_click_s"] = click
    assert fastest < MOST * click


@pytest.mark.bench
def test_import_click_alone(benchmark: Any) -> None:
    benchmark.pedantic(seconds, (CLICK,), rounds=ROUNDS, warmup_rounds=1)
