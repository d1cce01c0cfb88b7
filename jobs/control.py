"""The control workload on one node: when it is due it takes the lock, runs in a process of its own, and is measured.

It is fixed work, not fixed time, or its joules could not be compared: the same `control_id` is the same work for ever.
It warms the node up, so the idle window before it is no longer the next trial's.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jobs.environment import available_cpus
from jobs.lock import exclusive
from jobs.order_file import OrderFile
from jobs.session import Session
from jobs.watch import Ended, Progress, watch
from sipa.control import ControlResult
from sipa.errors import SipaError, TrialError, TrialTimeout
from sipa.spec.model import MeasurementSpec

VERSION = 1
"""Raised when the parts, their amounts or their order change: older controls are other work then."""

NET_PER_S, LOOP_PER_S = 400, 350
"""Units of each part in a nominal second of it: what one core at 2.6 GHz does, 2.3 ms and 2.8 ms a unit. A core that
runs two of its threads needs up to twice as long, which is no matter: the work is fixed."""

WEIGHTS = "digits-w12-128"
CONTROL = "control"
"""What a control is called where a trial has its id."""

_NET_NEEDS = ("torch", "safetensors", "cv2")
_DEADLINE_FACTOR, _DEADLINE_S = 10, 120
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOrder:
    """One run of the control workload, addressed to a node.

    Attributes:
        sequence: place among the controls of this node and session, from 0.
        after_block: repetition that the node had finished; 0 before the first.
        measurement: `control_s` and how energy is measured.
        workspace: scratch folder, made and left to the caller.
        log: takes what the processes print.
        root: counters and host state are read below it; "/" but for rehearsals.
    """

    session_id: str
    node: str
    sequence: int
    after_block: int
    measurement: MeasurementSpec
    workspace: Path
    log: Path
    root: Path

    @property
    def file(self) -> Path:
        """The order as the control's own process reads it."""
        return self.workspace / "control.json"

    @property
    def findings(self) -> Path:
        """What the control's own process found, written by it at its end."""
        return self.workspace / "findings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """The work of each process.

    Attributes:
        net: passes of the smallest shipped network over one image; 0 where torch is not installed.
        loop: modular powers of a number of 2048 bits.
    """

    net: int
    loop: int


def amounts(control_s: float, *, net: bool) -> Amounts:
    """The work that a nominal length stands for: half of it each part, all of it the loop without the network."""
    net_s = control_s / 2 if net else 0.0
    return Amounts(
        net=max(1, round(net_s * NET_PER_S)) if net else 0, loop=max(1, round((control_s - net_s) * LOOP_PER_S))
    )


def control_id(control_s: float, *, net: bool, processes: int) -> str:
    """Its name: "v1 net+loop 60 s x 96" is version 1, both parts, the nominal length, 96 processes."""
    return f"v{VERSION} {'net+' if net else ''}loop {control_s:g} s x {processes}"


def has_net() -> bool:
    """Whether this machine can run the network: the packages of the extra `node` are installed."""
    return all(find_spec(name) is not None for name in _NET_NEEDS)


def run_control(order: ControlOrder, session: Session, report: Report) -> ControlResult:
    """Run the control workload. Never raises for what it does: a control without a result has a reason.

    Args:
        order: what to run.
        session: this node's; its last control is set and its idle window forgotten.
        report: called with progress, from this thread.
    """
    started = datetime.now(UTC).isoformat()

    def say(phase: str, fraction: float | None, detail: str = "") -> None:
        report(Progress(trial_id=CONTROL, phase=phase, fraction=fraction, detail=detail))

    # Before anything can go wrong: a control that broke off has warmed the node, and is no other trial's.
    session.idle, session.control = None, None
    try:
        with exclusive(session.lock, waiting=lambda why: say("waiting", None, why), give_up=session.abort) as lock:
            found = _findings(order, _process(order, session, say, lock))
    except (SipaError, OSError) as error:
        found = {"reason": str(error)}
    control = result(order, environment_id=session.identity.columns["environment_id"], started_at=started, **found)
    session.control = control
    return control


def result(
    order: ControlOrder, *, environment_id: str, started_at: str, reason: str = "", **found: Any
) -> ControlResult:
    """The outcome of an order from what was found; without findings, one with the reason alone."""
    known: dict[str, Any] = {
        "control_id": control_id(order.measurement.control_s, net=has_net(), processes=available_cpus()),
        "duration_s": 0.0,
        "energy_total_j": None,
        "energy_pkg_j": None,
        "temperature_end_c": None,
        **found,
    }
    return ControlResult(
        node=order.node,
        session_id=order.session_id,
        sequence=order.sequence,
        after_block=order.after_block,
        environment_id=environment_id,
        started_at=started_at,
        reason=reason,
        **known,
    )


CONTROL_ORDERS = OrderFile(ControlOrder, "control order")
"""The files of control orders."""


def _process(order: ControlOrder, session: Session, say: Callable[..., None], lock: int) -> Ended:
    CONTROL_ORDERS.write(order, order.file)
    return watch(
        [sys.executable, "-P", "-u", "-m", "jobs", "control", str(order.file), "--lifeline"],
        log=order.log,
        environment={**session.variables, **_ONE_THREAD},
        inherited=lock,
        deadline_s=_deadline_s(order),
        abort=session.abort,
        report=say,
    )


def _deadline_s(order: ControlOrder) -> float:
    return _DEADLINE_FACTOR * order.measurement.control_s + _DEADLINE_S


def _findings(order: ControlOrder, ended: Ended) -> dict[str, Any]:
    """What the control's own process wrote.

    Raises:
        TrialError: it wrote nothing, and why.
    """
    if ended.timed_out:
        raise TrialTimeout(f"killed after {_deadline_s(order):g} s; what it printed stands in {order.log}")
    if ended.aborted:
        raise TrialError("stopped at once on request")
    try:
        found: dict[str, Any] = json.loads(order.findings.read_bytes())
    except (OSError, ValueError):
        raise TrialError(f"its process ended with {ended.exit_code}; what it printed stands in {order.log}") from None
    return found
