"""Ctrl-C once finishes the running trial, twice stops at once; the same command goes on."""

import signal
import subprocess
from pathlib import Path

import pandas as pd

from tests.cluster.sweeps import cli, fast, sipa


def started(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    """A sweep whose first trial is running."""
    (folder / "sweep.toml").write_text(fast(command=f"sleep {seconds} {{x}}".replace("{x}", "0.{x}")))
    process = subprocess.Popen(cli("run", "sweep.toml"), cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if " start " in line:
            break
    return process


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "results/fast/trials")


def test_once_finishes_the_running_trial_and_run_goes_on(tmp_path: Path) -> None:
    process = started(tmp_path, 1.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 7, said
    assert len(rows(tmp_path)) == 1
    (tmp_path / "sweep.toml").write_text((tmp_path / "sweep.toml").read_text().replace("sleep 1.5", "sleep 1.5"))
    sipa("run", "sweep.toml", cwd=tmp_path)
    assert len(rows(tmp_path)) == 6


def test_twice_stops_at_once_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    process = started(tmp_path, 60)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "again" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not list((tmp_path / "results/fast/trials").iterdir())
    assert not list((tmp_path / "results/fast/failures").iterdir())
    assert not _sleeping(tmp_path)


def _sleeping(folder: Path) -> list[str]:
    """Processes that still run below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                found.append(entry.name)
        except OSError:
            continue
    return found
