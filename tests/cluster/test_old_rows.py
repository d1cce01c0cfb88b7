"""Running a sweep in a folder that an earlier version wrote: nothing is lost, nothing is mixed in, and it is said."""

import shutil
from pathlib import Path

import pandas as pd

from cluster import sweep
from cluster.events import Event, SweepStarted
from cluster.loop import Stop
from cluster.survey import Request, survey
from sipa.columns import COLUMNS, SCHEMA_VERSION
from sipa.spec import load_spec

OLD = Path(__file__).parents[1] / "data/rows_v1"
ROW = OLD / "27c9c52720d1ad5d.parquet"


def test_old_rows_move_aside_and_all_trials_are_measured_anew(tmp_path: Path) -> None:
    """Another protocol measures another thing, so its trials have other names."""
    asked = Request(spec=load_spec(OLD / "first.toml"), results=tmp_path / "results", lock=tmp_path / "lock")
    trials = asked.folder / "trials"
    trials.mkdir(parents=True)
    shutil.copy(ROW, trials)
    state = survey(asked)
    assert (len(state.remaining), state.committed, state.superseded) == (2, frozenset(), (ROW.stem,))
    events: list[Event] = []
    finished = sweep.run(asked, ray=False, emit=events.append, stop=Stop())
    assert (finished.exit_code, finished.committed) == (0, 2)
    started = next(event for event in events if isinstance(event, SweepStarted))
    assert started.superseded == 1
    assert [path.name for path in (asked.folder / "superseded").iterdir()] == [ROW.name]
    frame = pd.read_parquet(trials)
    assert set(frame["schema_version"]) == {SCHEMA_VERSION}
    assert {column.name for column in COLUMNS} <= set(frame.columns)
