"""The same sweep through a local Ray instance: same trials, same rows, and refusals that come through."""

from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.sweeps import fast, sipa

pytest.importorskip("ray", reason="ray is not installed (extra: cluster)")

IDENTITY = ["trial_id", "treatment_id", "repetition", "planned_position", "x"]


@pytest.mark.slow
def test_ray_and_in_process_run_the_same_trials(tmp_path: Path) -> None:
    frames = []
    for name, options in (("plain", []), ("ray", ["--ray"])):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sweep.toml").write_text(fast(repetitions=1))
        sipa("run", "sweep.toml", *options, cwd=folder)
        frames.append(pd.read_parquet(folder / "results/fast/trials").sort_values("planned_position"))
    plain, ray = (frame[IDENTITY].reset_index(drop=True) for frame in frames)
    pd.testing.assert_frame_equal(plain, ray)
    assert (frames[1]["valid"]).all()
    assert not any("niceness" in flag for flags in frames[1]["flags"] for flag in flags)


@pytest.mark.slow
def test_a_node_that_cannot_measure_refuses_through_ray(tmp_path: Path) -> None:
    text = fast().replace('meter = "model"', 'meter = "powercap"')
    start, end = text.index("[measurement.model]"), text.index("[limits]")
    (tmp_path / "sweep.toml").write_text(text[:start] + text[end:])
    (tmp_path / "empty").mkdir()
    ended = sipa("run", "sweep.toml", "--ray", "--root", "empty", cwd=tmp_path, check=5)
    assert "modprobe" in ended.stderr
    assert "Traceback" not in ended.stderr
