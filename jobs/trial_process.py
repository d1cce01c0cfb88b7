"""The trial's own process: reads the order, runs the workload phase by phase, writes what it found, ends.

Its standard input is a lifeline: the worker holds the other end and never writes, so end-of-file says that the worker
is gone, however it died, and the trial's whole session ends at once instead of running on unwatched.
"""

import json
import os
import signal
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from jobs.order import TrialOrder, read_order
from jobs.processes import kill_session
from jobs.recorder import TrialRecorder
from jobs.rows import energy_flags, is_valid, phase_columns, phase_rows, window_columns, work_columns
from jobs.workload import INFERENCE, Findings, implementation
from sipa.energy.meter import EnergyMeter
from sipa.energy.power_model import PowerModel
from sipa.energy.source import MeterKind
from sipa.errors import MeterError, TrialCrash, TrialError, TrialOutOfMemory, TrialOutputError
from sipa.spec.model import MeasurementSpec
from sipa.trial import Row

DONE, FAILED = 0, 6


def open_meter(measurement: MeasurementSpec, root: Path) -> EnergyMeter:
    """The meter that a spec asks for; one that measures time only where it asks for none.

    Raises:
        MeterError: none of the sources that it names can be used here.
    """
    model = PowerModel(idle_w=measurement.model.idle_w, max_w=measurement.model.max_w) if measurement.model else None
    asked = tuple(measurement.meter) or (MeterKind.NONE,)
    try:
        return EnergyMeter(asked, root=root, model=model)
    except MeterError as error:
        raise MeterError(f"measurement.meter = {[kind.value for kind in asked]}: {error}") from error


def run_order(path: Path, *, messages: IO[str], lifeline: int | None) -> int:
    """Run the trial in an order file and write its findings beside it.

    Args:
        path: `trial.json`.
        messages: where progress goes, one JSON object a line.
        lifeline: descriptor whose end-of-file ends this process; None by hand.

    Returns:
        The process' exit code: 0, or 6 when the findings hold an error.
    """
    if lifeline is not None:
        threading.Thread(target=_die_with, args=(lifeline,), name="lifeline", daemon=True).start()
    order = read_order(path)
    try:
        _be_nice_to_nobody()
        findings = _measure(order, messages)
        code = DONE
    except Exception as error:  # noqa: BLE001 whatever a workload raises is the trial's failure, told to the worker
        traceback.print_exc()
        failure = as_trial_error(error)
        findings = {"error": type(failure).__name__, "message": str(failure)}
        code = FAILED
    aside = order.findings.with_suffix(".part")
    aside.write_text(json.dumps(findings, allow_nan=False))
    aside.replace(order.findings)
    return code


def _measure(order: TrialOrder, messages: IO[str]) -> dict[str, Any]:
    run = implementation(order.trial.treatment.kind)
    with open_meter(order.measurement, order.root) as meter:
        recorder = TrialRecorder(meter, root=order.root, session=os.getsid(0), messages=messages)
        if niceness := os.getpriority(os.PRIO_PROCESS, 0):
            recorder.flag(f"niceness: the trial ran at {niceness}, because this user may not lower it to 0")
        found = run(order, recorder)
    return _findings(found, recorder)


def _findings(found: Findings, recorder: TrialRecorder) -> dict[str, Any]:
    measured = next((phase for phase in recorder.phases if phase.name == INFERENCE), None)
    if measured is None or measured.use is None:
        raise TrialOutputError("the workload opened no inference window, so there is nothing to report")
    columns: Row = {
        **window_columns(measured.window, measured.use),
        **measured.host,
        **work_columns(found, measured.window),
    }
    for name in {phase.name for phase in recorder.phases}:
        columns |= phase_columns(name, [phase.window for phase in recorder.phases if phase.name == name])
    return {
        "columns": columns,
        "phases": [row for phase in recorder.phases for row in phase_rows(phase.name, phase.window)],
        "flags": recorder.flags + energy_flags(measured.window),
        "valid": is_valid(measured.window),
    }


def as_trial_error(error: Exception) -> TrialError:
    """What a workload raised, as the class that decides about another attempt."""
    if isinstance(error, TrialError):
        return error
    text = f"{type(error).__name__}: {error}"
    # torch raises RuntimeError when its allocator is refused.
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text.lower():
        return TrialOutOfMemory(f"{text}. Use a smaller batch_size or a node with more memory.")
    return TrialCrash(f"{text}. The traceback stands in the log.")


def _be_nice_to_nobody() -> None:
    """Back to niceness 0, where this user may: Ray starts its workers at 15."""
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)


def _die_with(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    kill_session(os.getsid(0), spare=os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
