"""The first hour on a new kind of node: every step in order, under the node's lock, with what each says."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs.commission.agreement import compared, judge_agreement
from jobs.commission.bench import Bench, Effects
from jobs.commission.cooling import judge_cooling
from jobs.commission.facts import METERS, Facts, find_facts, judge_facts, left_j, to_wrap
from jobs.commission.idle import Idle, judge_idle, measure_idle
from jobs.commission.latency import Latency, judge_latency, measure_latency
from jobs.commission.lengths import FULL, NO_WRAP_S, Lengths, forecast, limited
from jobs.commission.memory_power import MemoryPower, judge_memory, memory_power
from jobs.commission.node_power import NodePower, judge_node_power, measure_node_power
from jobs.commission.record import Commissioning
from jobs.commission.repeatability import judge_repeatability, measure_repeatability
from jobs.commission.steps import At, Begun, Event, Judged, Step, expected_s, left_s
from jobs.commission.stress import Stress, measure_stress
from jobs.commission.update import Updates, judge_updates, measure_updates
from jobs.commission.verdict import Finding
from jobs.commission.wraps import judge_wraps
from jobs.environment import Identity
from jobs.lock import exclusive
from sipa.energy import dcmi
from sipa.energy.dcmi import DcmiSensor
from sipa.energy.meter import EnergyMeter
from sipa.energy.perf_event import PerfSource
from sipa.energy.powercap import PowercapSource
from sipa.energy.readings import DomainKind
from sipa.energy.source import MeterKind, Source
from sipa.errors import MeterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to commission.

    Attributes:
        node: name of the host.
        identity: of the host below `root`.
        lock: the node's lock file.
        results: where the files will be kept.
        root: counters and host state are read below it; "/" but for rehearsals.
        lengths: of the steps.
    """

    node: str
    identity: Identity
    lock: Path
    results: Path
    root: Path = Path("/")
    lengths: Lengths = FULL


def commission(
    request: Request,
    report: Callable[[Event], None],
    *,
    waiting: Callable[[str], None] = lambda _: None,
    effects: Effects = Effects(),  # noqa: B008 frozen
) -> Commissioning:
    """Commission this node; takes over an hour with the full lengths.

    Args:
        request: what to commission.
        report: told what happens, from this thread.
        waiting: told who holds the node's lock, if it is not free.
        effects: what reaches outside.

    Raises:
        MeterError: no counter is usable here: why not, with the cure.
        HostError: the lock cannot be taken, or the load does not run.
    """
    with (
        effects.meter(METERS, root=request.root, clock=effects.clock_ns, trace_s=1.0) as meter,
        _opened(meter.kind, request.root, effects) as source,
        exclusive(request.lock, waiting=waiting, give_up=lambda: False),
        tempfile.TemporaryDirectory(prefix="sipa-commission-") as workspace,
    ):
        found = _Commissioner(request, report, meter=meter, source=source, workspace=Path(workspace), effects=effects)
        return found.run()


class _Commissioner:
    """Goes through the steps, and keeps what they find."""

    def __init__(
        self,
        request: Request,
        report: Callable[[Event], None],
        *,
        meter: EnergyMeter,
        source: Source,
        workspace: Path,
        effects: Effects,
    ) -> None:
        self._request = request
        self._wraps = meter.kind is MeterKind.POWERCAP
        limit_s = request.lengths.stress_limit_s
        self._lengths = limited(request.lengths, limit_s if self._wraps else min(limit_s, NO_WRAP_S))
        self._report = report
        self._bench = Bench(meter=meter, root=request.root, say=self._say, effects=effects)
        self._source = source
        self._workspace = workspace
        self._sensor = _sensor(request.root)
        self._facts = self._find_facts()
        self._forecast = forecast(self._lengths, to_wrap(self._facts), len(meter.domains))
        self._expected = expected_s(self._lengths, self._forecast, len(meter.domains))
        self._step, self._since_s = Step.FACTS, self._bench.now_s()
        self._findings: list[Finding] = []
        self._loaded: Latency | None = None
        self._node_power: list[NodePower] = []

    def run(self) -> Commissioning:
        """Every step."""
        started, begin_s = datetime.now(UTC), self._bench.now_s()
        self._report(Begun(forecast=self._forecast))
        environment = self._request.identity.environment
        self._judge(judge_facts(self._facts, environment))
        idle = self._idle()
        self._enter(Step.LATENCY)
        latency = self._measure_latency()
        self._judge([judge_latency(latency)])
        self._enter(Step.UPDATES)
        updates = tuple(self._updates())
        self._judge([judge_updates(updates)])
        self._enter(Step.CONTROL)
        repeated = measure_repeatability(
            self._bench, self._lengths, self._request.identity, self._request.node, self._workspace
        )
        self._judge(judge_repeatability(repeated))
        stress = self._stress()
        memory = memory_power(idle.window, stress.window)
        self._judge(self._judge_stress(idle, stress, memory))
        return Commissioning(
            started_at=started.isoformat(timespec="seconds"),
            duration_s=self._bench.now_s() - begin_s,
            node=self._request.node,
            columns={name: value for name, value in self._request.identity.columns.items() if name != "commission_id"},
            environment=environment,
            root=str(self._request.root),
            lengths=self._lengths,
            findings=tuple(self._findings),
            facts=self._facts,
            idle=idle,
            latency=latency,
            latency_loaded=self._loaded,
            updates=updates,
            repeated=repeated,
            stress=stress,
            compared=(*compared("idle", idle.window), *compared("stress", stress.window)),
            node_power=tuple(self._node_power),
            memory=memory,
        )

    def _idle(self) -> Idle:
        self._enter(Step.IDLE)
        idle = measure_idle(self._bench, self._lengths)
        self._node_power.append(measure_node_power(self._bench, "idle", self._sensor, self._lengths.compare_s))
        self._judge(judge_idle(idle))
        return idle

    def _measure_latency(self) -> Latency:
        return measure_latency(self._source, self._bench.meter, self._lengths.reads, self._bench.effects.clock_ns)

    def _updates(self) -> Iterator[Updates]:
        """Of every counter that is a file: other sources cannot be read without their own machinery."""
        domains = self._bench.meter.domains if self._wraps else ()
        for number, domain in enumerate(domains):
            self._say(number / len(domains), domain.id)
            yield measure_updates(domain, self._lengths.spin_s, self._bench.effects.clock_ns)

    def _stress(self) -> Stress:
        self._enter(Step.STRESS)
        domains = self._bench.meter.domains if self._wraps else ()
        to_wrap_j = {domain.id: left_j(domain) for domain in domains if domain.kind is DomainKind.PACKAGE}
        return measure_stress(self._bench, self._lengths, to_wrap_j, self._meanwhile)

    def _meanwhile(self) -> None:
        """What is looked at while the load still runs."""
        self._loaded = self._measure_latency()
        self._node_power.append(measure_node_power(self._bench, "stress", self._sensor, self._lengths.compare_s))

    def _judge_stress(self, idle: Idle, stress: Stress, memory: tuple[MemoryPower, ...]) -> Iterator[Finding]:
        yield judge_wraps(stress.crossings, stress.window, wraps=self._wraps)
        yield judge_cooling(stress, self._request.identity.environment.get("cpus"))
        if self._loaded is not None:
            yield judge_latency(self._loaded, loaded=True)
        yield judge_agreement(idle.window, stress.window, "; ".join(self._facts.unused))
        yield judge_node_power(self._node_power)
        yield judge_memory(memory)

    def _find_facts(self) -> Facts:
        return find_facts(
            self._bench.meter,
            self._source,
            self._request.root,
            no_dcmi=self._sensor if isinstance(self._sensor, str) else "",
            results=self._request.results,
        )

    def _enter(self, step: Step) -> None:
        self._step, self._since_s = step, self._bench.now_s()
        self._say(None, "")

    def _say(self, fraction: float | None, detail: str) -> None:
        spent_s = self._bench.now_s() - self._since_s
        left = left_s(self._expected, self._step, fraction, spent_s)
        self._report(At(step=self._step, fraction=fraction, detail=detail, left_s=left))

    def _judge(self, findings: Iterable[Finding]) -> None:
        found = tuple(findings)
        self._findings += found
        self._report(Judged(step=self._step, findings=found))


@contextmanager
def _opened(kind: MeterKind, root: Path, effects: Effects) -> Iterator[Source]:
    """The meter's source once more, with descriptors of its own."""
    source: Source = (PerfSource if kind is MeterKind.PERF else PowercapSource)(root, effects.clock_ns)
    try:
        yield source
    finally:
        source.close()


def _sensor(root: Path) -> DcmiSensor | str:
    """The BMC, or why it cannot be asked."""
    try:
        return dcmi.find(root)
    except MeterError as error:
        return str(error)
