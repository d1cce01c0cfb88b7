"""What the README shows is run as it stands there."""

import re
from pathlib import Path

import pandas as pd

from sipa.columns import NAMES
from tests.cluster.sweeps import sipa

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(language: str, beginning: str) -> str:
    found = re.search(rf"```{language}\n({re.escape(beginning)}.*?)```", README, re.DOTALL)
    assert found, beginning
    return found[1]


def test_the_example_program_runs_and_its_rows_are_there(tmp_path: Path) -> None:
    (tmp_path / "squeeze.py").write_text(block("python", "# squeeze.py"))
    (tmp_path / "squeeze.toml").write_text(
        block("toml", "# squeeze.toml").replace("repetitions = 2", "repetitions = 1").replace("[1, 4]", "[1]")
    )
    sipa("run", "squeeze.toml", cwd=tmp_path)
    frame = pd.read_parquet(tmp_path / "results/squeeze/trials").set_index("codec")
    assert set(frame.index) == {"zlib", "bz2", "lzma"}
    assert frame.loc["lzma", "ratio"] > frame.loc["zlib", "ratio"]
    assert (frame["work_unit"] == "megabyte").all()
    assert frame["time_per_work_unit_s"].gt(0).all()


def test_every_column_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`((?:energy|time|latency|map|ar|f1)_[a-z0-9_]+)`", README))
    assert named
    assert named - {"energy_uj"} <= NAMES
