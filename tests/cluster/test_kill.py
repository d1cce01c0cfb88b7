"""kill -9 of the controller at random moments: one whole row a planned trial, none measured twice.

Checked with plain pandas, as an analyst would read the folder.
"""

import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.sweeps import cli, fast, sipa

EDITS = {
    "same": fast(factors={"x": "[1, 2, 3, 4]"}, repetitions=5),
    "a factor added": fast(command="true {x} {y}", factors={"x": "[1, 2, 3, 4]", "y": "['a', 'b']"}, repetitions=3),
    "a level removed": fast(factors={"x": "[1, 2, 3]"}, repetitions=5),
    "an integer factor made float": fast(factors={"x": "[1.0, 2.0, 3.5, 4]"}, repetitions=5),
}


def kill_at_random(folder: Path, moments: random.Random, *, times: int, commits: Counter[str]) -> None:
    """Start the sweep and kill it, `times` times; count which trials were committed meanwhile."""
    for _ in range(times):
        before = names(folder)
        process = subprocess.Popen(
            cli("run", "sweep.toml"), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.5, 4.0))
        process.kill()
        process.wait()
        commits.update(names(folder) - before)


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "results/fast/trials").glob("*")}


def check(folder: Path, *, planned: int) -> pd.DataFrame:
    frame = pd.read_parquet(folder / "results/fast/trials")
    assert len(frame) == planned
    assert frame["trial_id"].is_unique
    assert set(frame["trial_id"]) == {name.removesuffix(".parquet") for name in names(folder)}
    assert frame["valid"].all()
    assert frame[["window_s", "started_at", "x"]].notna().all().all()
    return frame


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("edit", EDITS)
def test_fifty_kills(tmp_path: Path, edit: str) -> None:
    moments, commits = random.Random(edit), Counter[str]()
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(EDITS["same"])
    kill_at_random(tmp_path, moments, times=7, commits=commits)
    sweep.write_text(EDITS[edit])
    kill_at_random(tmp_path, moments, times=6, commits=commits)
    kept = pd.read_parquet(tmp_path / "results/fast/trials") if names(tmp_path) else None
    sipa("run", "sweep.toml", cwd=tmp_path)
    planned = {"same": 20, "a factor added": 24, "a level removed": 15, "an integer factor made float": 20}[edit]
    frame = check(tmp_path, planned=planned)
    assert all(count == 1 for count in commits.values())
    if kept is not None:
        same = kept.merge(frame, on="trial_id", suffixes=("", "_now"))
        assert (same["started_at"] == same["started_at_now"]).all()
    assert sipa("run", "sweep.toml", cwd=tmp_path).returncode == 0
    assert len(check(tmp_path, planned=planned)) == planned


def test_a_few_kills(tmp_path: Path) -> None:
    """The same, short enough for every day."""
    (tmp_path / "sweep.toml").write_text(fast(factors={"x": "[1, 2, 3]"}, repetitions=2))
    commits = Counter[str]()
    kill_at_random(tmp_path, random.Random(4), times=3, commits=commits)
    sipa("run", "sweep.toml", cwd=tmp_path)
    check(tmp_path, planned=6)
    assert all(count == 1 for count in commits.values())


def test_an_edit_moves_rows_and_an_edit_back_returns_them(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(fast(factors={"x": "[1, 2]"}, repetitions=1))
    sipa("run", "sweep.toml", cwd=tmp_path)
    first = check(tmp_path, planned=2)
    sweep.write_text(fast(factors={"x": "[2, 3]"}, repetitions=1))
    said = sipa("run", "sweep.toml", cwd=tmp_path).stderr
    assert "1" in said
    assert "superseded" in said
    check(tmp_path, planned=2)
    sweep.write_text(fast(factors={"x": "[1, 2]"}, repetitions=1))
    sipa("run", "sweep.toml", cwd=tmp_path)
    again = check(tmp_path, planned=2)
    assert set(first["started_at"]) == set(again["started_at"])
