"""The command line as a function, and results folders that real runs of the loop have written."""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from cluster.cli import main
from cluster.events import Event, SweepFinished
from cluster.survey import Request, survey
from cluster.sweep import Stop, run_with
from jobs.order import TrialOrder
from sipa.spec import load_spec
from sipa.trial import Outcome
from tests.cluster.scripted import ScriptedWorkers, result_of
from tests.cluster.sweeps import fast


@dataclass
class Said:
    """What a command said."""

    exit_code: int
    stdout: str
    stderr: str
    binary: bytes


Invoke = Callable[..., Said]


def call(*arguments: str | Path) -> Said:
    """Run `main` and catch its exit, its output and its talk."""
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "100"})
    with runner.isolation() as (out, err, _):
        try:
            main([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        binary, talk = out.getvalue(), err.getvalue().decode()
    assert isinstance(code, int)
    return Said(exit_code=code, stdout=binary.decode(errors="replace"), stderr=talk, binary=binary)


@dataclass
class Sweep:
    """A sweep file with its results."""

    file: Path
    results: Path
    finished: SweepFinished
    events: list[Event] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.results / "fast"


Script = Callable[[TrialOrder], Outcome]


def timed(order: TrialOrder) -> Outcome:
    """A row with a time and an accuracy-like number that depend on the level."""
    level = float(order.trial.treatment.parameters["x"])
    length = 0.01 * level * (1 + 0.01 * order.trial.repetition)
    return result_of(
        order,
        time_per_work_unit_s=length,
        throughput_work_units_per_s=1 / length,
        work_unit="run",
        work_units_measured=1.0,
    )


def ran(tmp_path: Path, script: Script = timed, *, stop: Stop | None = None, **options: object) -> Sweep:
    """Write a sweep file, run it with scripted trials, keep what it said."""
    file = tmp_path / "fast.toml"
    file.write_text(fast(**options), encoding="utf-8")  # type: ignore[arg-type]
    request = Request(spec=load_spec(file), results=tmp_path / "results")
    workers = ScriptedWorkers(script, node=socket.gethostname())
    events: list[Event] = []
    finished = run_with(survey(request), workers, emit=events.append, stop=stop or Stop())
    return Sweep(file=file, results=request.results, finished=finished, events=events)
