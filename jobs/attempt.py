"""One run of the trial's own process, as the worker sees it: started, watched, and what it found or why it did not.

With `scope = "process"` it runs under `perf stat`, the source paper's way, inside the same outer window.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import host_state
from jobs.environment import available_cpus
from jobs.host_state import HostState
from jobs.order import TRIAL_ORDERS, TrialOrder
from jobs.perf_stat import PerfStat
from jobs.watch import Ended, watch
from sipa.energy.dcmi import DcmiSensor
from sipa.energy.meter import EnergyMeter
from sipa.energy.window import EnergyWindow
from sipa.errors import TRIAL_ERRORS, TrialCrash, TrialError, TrialOutOfMemory, TrialTimeout
from sipa.workloads import Kind

_OUT_OF_MEMORY = "The kernel killed a process because memory ran out. Use less memory, or a node with more."

Report = Callable[[str, float | None, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How the process ended, and the outer window round it."""

    ended: Ended
    outer: EnergyWindow
    findings: Mapping[str, Any]


def run_process(
    order: TrialOrder,
    meter: EnergyMeter,
    *,
    variables: Mapping[str, str],
    lock: int,
    abort: Callable[[], bool],
    report: Report,
    perf_stat: PerfStat | None = None,
    bmc: DcmiSensor | None = None,
) -> Attempt:
    """Run the trial's own process inside the outer window.

    Args:
        order: what to measure; its workspace is made.
        meter: of the worker.
        variables: the user's environment variables.
        lock: descriptor of the node's lock, which the process inherits.
        abort: asked while waiting; True kills the process.
        report: called with phase, fraction and detail.
        perf_stat: what to run it under; its output goes into the workspace.
        bmc: what it asks for the node's power.

    Raises:
        TrialError: it gave no findings, and why.
    """
    TRIAL_ORDERS.write(order, order.file)
    began = host_state.read(order.root)
    command = [sys.executable, "-P", "-u", "-m", "jobs", "run", str(order.file), "--lifeline"]
    command += ["--bmc", str(bmc.program)] if bmc is not None else []
    with meter.window("process") as outer:
        ended = watch(
            command if perf_stat is None else perf_stat.wrap(command, order.perf_stat),
            log=order.log,
            environment=_environment(order, variables),
            inherited=lock,
            deadline_s=order.measurement.deadline_s,
            abort=abort,
            report=report,
        )
    return Attempt(ended=ended, outer=outer.energy, findings=_findings(order, ended, began))


def _environment(order: TrialOrder, variables: Mapping[str, str]) -> Mapping[str, str]:
    """The trial's environment variables: the user's, but that for our own workloads the thread counts are ours."""
    if order.trial.treatment.kind is Kind.COMMAND:
        return variables
    threads = str(order.trial.treatment.parameters.get("threads", available_cpus()))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**variables, **dict.fromkeys(names, threads)}


def _findings(order: TrialOrder, ended: Ended, began: HostState) -> dict[str, Any]:
    """What the trial's own process wrote.

    Raises:
        TrialError: it wrote an error, or died without writing.
    """
    if ended.timed_out:
        raise TrialTimeout(
            f"killed after {order.measurement.deadline_s:g} s (measurement.deadline_s). Raise the deadline if the "
            f"trial is that long; what it printed stands in {order.log.name}"
        )
    if ended.aborted:
        raise TrialError("stopped at once on request")
    try:
        findings: dict[str, Any] = json.loads(order.findings.read_bytes())
    except (OSError, ValueError):
        raise _died(order, ended, began) from None
    if findings.get("error") == TrialCrash.__name__ and _out_of_memory(order, began):
        raise TrialOutOfMemory(f"{findings['message']} {_OUT_OF_MEMORY}")
    if "error" in findings:
        raise TRIAL_ERRORS.get(findings["error"], TrialCrash)(findings["message"])
    return findings


def _died(order: TrialOrder, ended: Ended, began: HostState) -> TrialError:
    if ended.exit_code == -9 and _out_of_memory(order, began):
        return TrialOutOfMemory(_OUT_OF_MEMORY)
    how = f"was killed by signal {-ended.exit_code}" if ended.exit_code < 0 else f"exited with {ended.exit_code}"
    return TrialCrash(f"the trial's process {how} without a result. Its output stands in {order.log.name}")


def _out_of_memory(order: TrialOrder, began: HostState) -> bool:
    """Whether the kernel killed something for lack of memory since the trial began."""
    now = host_state.read(order.root)
    return None not in (began.oom_kills, now.oom_kills) and now.oom_kills != began.oom_kills
