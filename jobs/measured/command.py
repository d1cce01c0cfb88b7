"""Energy of any command, as people use `perf stat`: a window round it, idle windows before and after, repetitions.

The counters are the whole machine's, so what else ran is in every number and is reported beside it. Ctrl-C ends the
command, not the measurement: what it used until then is still a result.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs import cpu_time, frequency, host_state, sysfs
from jobs.cpu_time import CpuTimes, CpuUse
from jobs.lock import default_path, exclusive
from jobs.measured import foreground
from jobs.measured.foreground import Ended
from sipa.energy.dcmi import DcmiReading, DcmiSensor
from sipa.energy.dcmi import find as find_dcmi
from sipa.energy.meter import EnergyMeter
from sipa.energy.power_model import PowerModel
from sipa.energy.source import MeterKind
from sipa.energy.window import EnergyWindow
from sipa.errors import HostError, MeterError
from sipa.trial import Row

METERS = (MeterKind.POWERCAP, MeterKind.PERF)
"""What is used when nothing is asked for: the first that can be, the other as a check; never the model."""


CPU_USE_FROM_S = 10 * cpu_time.TICK_S
"""Shorter runs have no CPU use: /proc/stat counts in ticks, and one more or less would be most of it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOrder:
    """What to measure.

    Attributes:
        command: the program and its arguments.
        meters: names of `MeterKind` in order of preference.
        model: declared watts, for the model.
        root: where `sys` and `proc` are.
        idle_s: length of an idle window before the first run and after the last; 0 for none.
        repeat: runs, at least 1.
        stdout: descriptor that becomes the command's standard output; None leaves it.
        lock: the node's lock file; None for the usual one.
    """

    command: tuple[str, ...]
    meters: tuple[str, ...] = METERS
    model: PowerModel | None = None
    root: Path = Path("/")
    idle_s: float = 0.0
    repeat: int = 1
    stdout: int | None = None
    lock: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """One run of the command.

    Attributes:
        started_at: UTC.
        window: from before its start to after its end.
        ended: how.
        use: of the CPUs; `foreign_s` is all that neither the command nor the measuring used.
        host: temperature and throttling, as columns of a row.
        frequency_hz: effective; None where unreadable.
        node: what the BMC said right after; None without one.
    """

    started_at: datetime
    window: EnergyWindow
    ended: Ended
    use: CpuUse
    host: Row
    frequency_hz: float | None
    node: DcmiReading | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCommand:
    """All runs of one command.

    Attributes:
        order: what was asked for.
        source: the meter that was used.
        checks: the meters that ran along.
        passed_over: why the others that were named did not.
        runs: at least one, unless the command cannot be run.
        idle: the idle windows before and after, as far as there are any.
        node_reason: why the BMC was not asked.
        ended: how the last run ended, or why there was none.
    """

    order: MeasureOrder
    source: MeterKind
    checks: tuple[MeterKind, ...]
    passed_over: tuple[str, ...]
    runs: tuple[MeasuredRun, ...]
    idle: tuple[EnergyWindow, ...]
    node_reason: str | None
    ended: Ended


def measure(order: MeasureOrder, *, say: Say) -> MeasuredCommand:
    """Run the command and measure it, alone on this node as far as other measurements go.

    A run that fails is the last; so is one during which Ctrl-C was pressed.

    Args:
        order: what to measure.
        say: called with what is waited for.

    Raises:
        MeterError: none of the meters can be used here.
        HostError: the node's lock cannot be had, as inside another measurement.
    """
    with EnergyMeter(order.meters, root=order.root, model=order.model) as meter:
        if (ended := foreground.unrunnable(order.command)) is not None:
            return _result(order, meter, ended=ended)
        sensor, node_reason = _sensor(order.root)
        lock = order.lock or default_path()
        with exclusive(lock, waiting=lambda who: say(f"waiting: {who}"), give_up=lambda: _pointless(lock)):
            before = _idle(order, meter, say, "before")
            runs = _runs(order, meter, sensor, say)
            after = None if runs[-1].ended.interrupted else _idle_after(order, meter, say)
    idle = tuple(window for window in (before, after) if window is not None)
    return _result(order, meter, runs=runs, idle=idle, node_reason=node_reason, ended=runs[-1].ended)


def _result(
    order: MeasureOrder,
    meter: EnergyMeter,
    *,
    ended: Ended,
    runs: tuple[MeasuredRun, ...] = (),
    idle: tuple[EnergyWindow, ...] = (),
    node_reason: str | None = None,
) -> MeasuredCommand:
    return MeasuredCommand(
        order=order,
        source=meter.kind,
        checks=meter.checks,
        passed_over=meter.passed_over,
        runs=runs,
        idle=idle,
        node_reason=node_reason,
        ended=ended,
    )


def _runs(order: MeasureOrder, meter: EnergyMeter, sensor: DcmiSensor | None, say: Say) -> tuple[MeasuredRun, ...]:
    runs: list[MeasuredRun] = []
    try:
        for number in range(1, order.repeat + 1):
            if order.repeat > 1:
                say(f"run {number} of {order.repeat}")
            runs.append(_run(order, meter, sensor))
            if runs[-1].ended.exit_code != 0 or runs[-1].ended.interrupted:
                break
    except KeyboardInterrupt:
        if not runs:
            raise
    return tuple(runs)


def _run(order: MeasureOrder, meter: EnergyMeter, sensor: DcmiSensor | None) -> MeasuredRun:
    """One run; whatever takes time is done outside of the window."""
    host, hertz, cpu = host_state.read(order.root), frequency.read(order.root), _cpu_times(order.root, 0.0)
    started_at = datetime.now(UTC)
    with meter.window("command") as window:
        ended = foreground.run(order.command, stdout=order.stdout)
    use = _use(cpu, _cpu_times(order.root, ended.own_cpu_s), window.energy.duration_s)
    return MeasuredRun(
        started_at=started_at,
        window=window.energy,
        ended=ended,
        use=use,
        frequency_hz=frequency.effective_hz(hertz, frequency.read(order.root)),
        host=host_state.columns(host, host_state.read(order.root)),
        node=sensor.read() if sensor else None,
    )


def _idle(order: MeasureOrder, meter: EnergyMeter, say: Say, when: str) -> EnergyWindow | None:
    if order.idle_s <= 0:
        return None
    say(f"idle for {order.idle_s:g} s {when} the command")
    with meter.window(f"idle {when}") as window:
        time.sleep(order.idle_s)
    return window.energy


def _idle_after(order: MeasureOrder, meter: EnergyMeter, say: Say) -> EnergyWindow | None:
    """The idle window after; Ctrl-C skips it."""
    try:
        return _idle(order, meter, say, "after")
    except KeyboardInterrupt:
        return None


def _cpu_times(root: Path, command_s: float) -> CpuTimes:
    """CPU times now, of which our own are this process' and what the command used until now."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    own_s = own.ru_utime + own.ru_stime + command_s
    busy_s, total_s = cpu_time.machine_s(root)
    return CpuTimes(busy_s=busy_s, total_s=total_s, own_s=own_s)


def _use(begin: CpuTimes, end: CpuTimes, length_s: float) -> CpuUse:
    """CPU use of one run; nothing is known of others where /proc/stat stands still, as in a copied tree."""
    use = cpu_time.between(begin, end)
    if use.utilisation is None or length_s < CPU_USE_FROM_S:
        return CpuUse(utilisation=None, foreign_s=None, own_s=use.own_s)
    return CpuUse(utilisation=use.utilisation, foreign_s=use.foreign_s, own_s=use.own_s)


def _pointless(lock: Path) -> bool:
    """Whether waiting for the lock's holder has no end; never so if this returns at all.

    Raises:
        HostError: who holds it waits for this process, being the one that started it.
    """
    holder = (sysfs.text(lock) or "").strip()
    if holder.isdigit() and int(holder) in _ancestors():
        raise HostError(
            f"this runs inside another measurement (process {holder}), which would wait for itself. "
            f"Cure: measure the outer command, or the inner one, not both"
        )
    return False


def _ancestors() -> Iterator[int]:
    """The processes that this one was started by, from its parent on."""
    pid = os.getppid()
    while pid > 1:
        yield pid
        stat = sysfs.text(Path(f"/proc/{pid}/stat")) or ""
        pid = int(stat.rpartition(")")[2].split()[1]) if ")" in stat else 0


def _sensor(root: Path) -> tuple[DcmiSensor | None, str | None]:
    try:
        return find_dcmi(root), None
    except MeterError as error:
        return None, str(error)
