"""Sweep files with fast commands, and a way to run them as a user does."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FAST = """schema = 1
name = "fast"

[workload]
kind = "command"
command = "{command}"

[factors]
{factors}

[design]
repetitions = {repetitions}

[measurement]
meter = "model"
idle_s = 0
min_window_s = 0.05
max_foreign_cores = 1000
gates = "flag"
deadline_s = 60

[measurement.model]
idle_w = 10
max_w = 20

[limits]
max_failures = {max_failures}
retries = {retries}
"""


def fast(
    *,
    command: str = "true {x}",
    factors: Mapping[str, str] | None = None,
    repetitions: int = 2,
    max_failures: int = 3,
    retries: int = 1,
) -> str:
    """The text of a sweep file whose trials take a moment."""
    lines = "\n".join(f"{name} = {levels}" for name, levels in (factors or {"x": "[1, 2, 3]"}).items())
    return FAST.format(
        command=command, factors=lines, repetitions=repetitions, max_failures=max_failures, retries=retries
    )


def cli(*arguments: str) -> list[str]:
    """The command line that runs sipa-cluster in this environment."""
    return [sys.executable, "-m", "cluster.cli", *arguments]


def sipa(*arguments: str, cwd: Path, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run sipa-cluster and expect an exit code."""
    ended = subprocess.run(
        cli(*arguments),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    if check is not None:
        assert ended.returncode == check, (ended.returncode, ended.stdout, ended.stderr)
    return ended
