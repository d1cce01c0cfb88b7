"""What a worker keeps from trial to trial on one node, and how it is opened and let go.

The order of opening matters: governor and turbo are set before the host is looked at, because they are part of its
fingerprint, and whatever cannot be opened puts back what was.
"""

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from jobs import perf_stat
from jobs.environment import Identity, identify
from jobs.host import knobs
from jobs.host_state import temperature_c
from jobs.perf_stat import PerfStat
from jobs.rest import Rest
from jobs.trial_process import open_meter
from sipa.control import ControlResult
from sipa.energy import dcmi
from sipa.energy.dcmi import DcmiSensor
from sipa.energy.meter import EnergyMeter
from sipa.energy.selection import MEASURED
from sipa.errors import MeterError
from sipa.spec.model import MeasurementSpec, Scope


@dataclass(slots=True, kw_only=True)
class Session:
    """One node's.

    Attributes:
        meter: the outer window's meter, open for the whole session.
        identity: node, boot and environment, read once.
        lock: the node's lock file.
        abort: asked while waiting; True kills the running trial.
        variables: the user's environment variables, which trials run with.
        perf_stat: what trials run under; None unless the spec's scope is the process and there are counters.
        bmc: the node's own sensor, found once; None where there is none, nothing to compare it with, or it hung.
        bmc_reason: why it is asked no more; empty while it answers.
        coolest_c: lowest temperature of the idle node so far; None where it is not known.
        idle: the last rest, if nothing ran since.
        control: the last run of the control workload.
        held: what `close` lets go.
    """

    meter: EnergyMeter
    identity: Identity
    lock: Path
    abort: Callable[[], bool]
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    perf_stat: PerfStat | None = None
    bmc: DcmiSensor | None = None
    bmc_reason: str = ""
    coolest_c: float | None = None
    idle: Rest | None = None
    control: ControlResult | None = None
    held: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Put governor and turbo back and close the meter; closing twice does nothing."""
        self.held.close()


def open_session(
    measurement: MeasurementSpec,
    *,
    root: Path,
    lock: Path,
    abort: threading.Event,
    variables: Mapping[str, str] | None = None,
) -> Session:
    """A node's session: counters open, governor and turbo as the spec says until it is closed, identity read.

    Args:
        measurement: what must be measurable.
        root: where counters and host state are read.
        lock: the node's lock file.
        abort: set to kill the running trial.
        variables: the environment that trials run in; this process' own if not given.

    Raises:
        HostError: the host cannot be put into the state that the spec asks for.
        MeterError: this node cannot measure what the spec asks for.
    """
    trial_variables = dict(os.environ if variables is None else variables)
    with ExitStack() as opening:
        meter = opening.enter_context(open_meter(measurement, root))
        counted = meter.kind in MEASURED
        process = measurement.scope is Scope.PROCESS
        opening.enter_context(knobs(measurement, root=root))
        return Session(
            meter=meter,
            identity=identify(root, trial_variables),
            lock=lock,
            abort=abort.is_set,
            variables=trial_variables,
            perf_stat=perf_stat.find(root) if counted and process else None,
            bmc=_bmc(root) if counted and not process else None,
            coolest_c=temperature_c(root),
            held=opening.pop_all(),
        )


def _bmc(root: Path) -> DcmiSensor | None:
    """The BMC, where there is one: looked for once, because looking takes it some tenths of a second."""
    try:
        return dcmi.find(root)
    except MeterError:
        # `sipa-cluster doctor --node` says why; most machines have none.
        return None
