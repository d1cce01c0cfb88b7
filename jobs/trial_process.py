"""The trial's own process: reads the order, runs the workload phase by phase, writes what it found, ends.

The BMC is asked only where the process as a whole is not what is measured: asking takes time and energy of its own.
"""

import json
import os
import traceback
from pathlib import Path
from typing import IO, Any

from jobs.order import TRIAL_ORDERS, TrialOrder
from jobs.own_process import be_nice_to_nobody, end_with
from jobs.recorder import Phase, TrialRecorder
from jobs.rows import (
    energy_flags,
    is_valid,
    node_columns,
    phase_columns,
    phase_flags,
    phase_rows,
    sample_rows,
    window_columns,
    work_columns,
)
from jobs.workload import INFERENCE, Findings, implementation
from sipa.energy.dcmi import DcmiSensor
from sipa.energy.meter import EnergyMeter
from sipa.energy.power_model import PowerModel
from sipa.energy.source import MeterKind
from sipa.errors import MeterError, TrialCrash, TrialError, TrialOutOfMemory, TrialOutputError
from sipa.spec.model import MeasurementSpec
from sipa.trial import Row

DONE, FAILED = 0, 6
TRACE_S = 1.0
"""Step of the power trace: faster sampling of RAPL would only add error (its updates carry no time)."""


def open_meter(measurement: MeasurementSpec, root: Path, *, trace_s: float | None = None) -> EnergyMeter:
    """The meter that a spec asks for; one that measures time only where it asks for none.

    Args:
        measurement: names the sources.
        root: where counters are read.
        trace_s: step of a power trace; None: no trace is kept.

    Raises:
        MeterError: none of the sources that it names can be used here.
    """
    model = PowerModel(idle_w=measurement.model.idle_w, max_w=measurement.model.max_w) if measurement.model else None
    asked = tuple(measurement.meter) or (MeterKind.NONE,)
    try:
        return EnergyMeter(asked, root=root, model=model, trace_s=trace_s)
    except MeterError as error:
        raise MeterError(f"measurement.meter = {[kind.value for kind in asked]}: {error}") from error


def run_order(path: Path, *, messages: IO[str], lifeline: int | None, bmc: Path | None = None) -> int:
    """Run the trial in an order file and write its findings beside it.

    Args:
        path: `trial.json`.
        messages: where progress goes, one JSON object a line.
        lifeline: descriptor whose end-of-file ends this process; None by hand.
        bmc: the program that asks the BMC, right after the inference window; None asks nobody.

    Returns:
        The process' exit code: 0, or 6 when the findings hold an error.
    """
    end_with(lifeline)
    order = TRIAL_ORDERS.read(path)
    try:
        findings = _measure(order, messages, bmc)
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


def _measure(order: TrialOrder, messages: IO[str], bmc: Path | None) -> dict[str, Any]:
    niceness = be_nice_to_nobody()
    run = implementation(order.trial.treatment.kind)
    with open_meter(order.measurement, order.root, trace_s=TRACE_S) as meter:
        sensor = None if bmc is None else DcmiSensor(program=bmc)
        recorder = TrialRecorder(meter, root=order.root, session=os.getsid(0), messages=messages, dcmi=sensor)
        if niceness:
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
        **node_columns(measured.node),
        **work_columns(found, measured.window),
    }
    for name in {phase.name for phase in recorder.phases}:
        columns |= phase_columns(name, [phase.window for phase in recorder.phases if phase.name == name])
    others = [phase for phase in recorder.phases if phase is not measured]
    doubts = [flag for phase in others for flag in phase_flags(phase.name, phase.window)]
    return {
        "columns": columns,
        "phases": [row for phase in recorder.phases for row in phase_rows(phase.name, phase.window)],
        "samples": sample_rows(measured.samples),
        "flags": [*recorder.flags, *energy_flags(measured.window), *doubts, *_node_flags(measured)],
        "valid": is_valid(measured.window),
        "unsteady": found.unsteady,
        "disagreements": list(measured.window.disagreements),
        "bmc_hung": measured.node is not None and measured.node.timed_out,
    }


def _node_flags(measured: Phase) -> list[str]:
    node = measured.node
    return [f"node power unavailable: {node.reason}"] if node is not None and node.power_w is None else []


def as_trial_error(error: Exception) -> TrialError:
    """What a workload raised, as the class that decides about another attempt."""
    if isinstance(error, TrialError):
        return error
    text = f"{type(error).__name__}: {error}"
    # torch raises RuntimeError when its allocator is refused.
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text.lower():
        return TrialOutOfMemory(f"{text}. Use a smaller batch_size or a node with more memory.")
    return TrialCrash(f"{text}. The traceback stands in the log.")
