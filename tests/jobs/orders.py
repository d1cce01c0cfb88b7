"""Orders for trials that need no network and no data: Python one-liners as commands."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.order import TrialOrder
from sipa.spec.model import CommandOutput, Gates, MeasurementSpec, Meter, ModelWatts, Scope
from sipa.trial import Treatment, Trial
from sipa.workloads import Kind, Value

MODEL = ModelWatts(idle_w=20, max_w=60)


def measurement(**changes: Any) -> MeasurementSpec:
    """A short protocol: estimates, no idle window, one pass, flags instead of refusals."""
    defaults: dict[str, Any] = {
        "meter": (Meter.MODEL,),
        "idle_s": 0.0,
        "min_window_s": 0.0,
        "warmup_max_s": 20.0,
        "cooldown_within_c": 3.0,
        "cooldown_timeout_s": 0.0,
        "control_s": 0.0,
        "max_foreign_cores": 1e9,
        "gates": Gates.FLAG,
        "deadline_s": 60.0,
        "governor": None,
        "turbo": None,
        "scope": Scope.PHASES,
        "model": MODEL,
    }
    return MeasurementSpec(**defaults | changes)


def python(code: str) -> str:
    """A command line that runs code in this interpreter."""
    return f'{sys.executable} -c "{code}"'


def command_order(
    folder: Path,
    command: str,
    *,
    parameters: Mapping[str, Value] | None = None,
    output: CommandOutput | None = None,
    root: Path = Path("/"),
    attempt: int = 1,
    **protocol: Any,
) -> TrialOrder:
    treatment = Treatment(kind=Kind.COMMAND, parameters={"command": command, **(parameters or {})})
    return TrialOrder(
        trial=Trial(treatment=treatment, repetition=1, replicate="", trial_id="0123456789abcdef"),
        attempt=attempt,
        sweep="test",
        spec_hash="feedfacefeedface",
        session_id="s1",
        node="here",
        planned_position=0,
        position=0,
        site=None,
        lease_id=None,
        measurement=measurement(**protocol),
        output=output or CommandOutput(),
        source_folder=folder,
        workspace=folder / "work",
        log=folder / "trial.log",
        cache=folder / "cache",
        root=root,
    )
