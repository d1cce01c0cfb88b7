"""How alike the control workload is to itself: the same work a few times in a row on a node that does nothing else.

It runs before the stress, because a node that was heated for half an hour is not the one that a trial meets.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.commission.bench import Bench
from jobs.commission.facts import METERS
from jobs.commission.lengths import Lengths
from jobs.commission.verdict import Finding, Verdict, finding, graded
from jobs.control import ControlOrder, run_control
from jobs.environment import Identity
from jobs.session import Session
from jobs.watch import Progress
from sipa.control import ControlResult
from sipa.spec.document import Measurement
from sipa.spec.measurement import measurement_spec
from sipa.spec.model import Meter

MAX_SPREAD, BAD_SPREAD = 0.01, 0.03
"""Coefficient of variation of energy and of time: limits of what is good, and of what is usable."""

MIN_RUN_S = 5.0
"""What shorter runs show is how processes start, not how alike the node is to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A few runs of the control workload.

    Attributes:
        runs: in the order of time.
        energy_spread: coefficient of variation of the energy; None for fewer than two energies.
        time_spread: the same of the duration.
    """

    runs: tuple[ControlResult, ...]
    energy_spread: float | None
    time_spread: float | None


def measure_repeatability(bench: Bench, lengths: Lengths, identity: Identity, node: str, workspace: Path) -> Repeated:
    """Run the control workload a few times.

    Args:
        bench: what to measure with.
        lengths: how often, how long.
        identity: of the node.
        node: its name.
        workspace: a scratch folder.
    """
    # The node's own lock is held by us for the whole commissioning, and a flock does not nest.
    lock = workspace / "control.lock"
    lock.touch()
    session = Session(meter=bench.meter, identity=identity, lock=lock, abort=lambda: False)
    first = _order(bench, lengths, node, workspace)
    return repeated([_run(bench, lengths, session, replace(first, sequence=each)) for each in range(lengths.controls)])


def repeated(runs: Sequence[ControlResult]) -> Repeated:
    """The runs with their spreads; runs without a result count for neither."""
    energies = [each.energy_total_j for each in runs if each.energy_total_j is not None]
    times = [each.duration_s for each in runs if each.duration_s > 0]
    return Repeated(runs=tuple(runs), energy_spread=_spread(energies), time_spread=_spread(times))


def judge_repeatability(found: Repeated) -> Iterator[Finding]:
    """Whether equal work costs equal energy and time."""
    energies = [each.energy_total_j for each in found.runs if each.energy_total_j is not None]
    times = [each.duration_s for each in found.runs if each.duration_s > 0]
    reasons = "; ".join(dict.fromkeys(each.reason for each in found.runs if each.reason))
    why = "a trial cannot be repeated better than this: it sets how many repetitions a sweep needs"
    for key, title, values, unit, spread in (
        ("control-energy", "Repeatability of energy", energies, "J", found.energy_spread),
        ("control-time", "Repeatability of time", times, "s", found.time_spread),
    ):
        if spread is None:
            # A control that breaks off here breaks off in sweeps too.
            verdict, cure = (Verdict.WARN, _LOOK) if reasons else (Verdict.UNKNOWN, "run it without --quick")
            yield finding(key, title, verdict, reasons or "too few runs", why=why, cure=cure)
            continue
        text = (
            f"coefficient of variation {spread:.2%}: {len(values)} runs of {statistics.fmean(values):.5g} {unit}, "
            f"{min(values):.5g} to {max(values):.5g}"
        )
        if statistics.fmean(times) < MIN_RUN_S:
            text = f"runs too short to judge: {text}"
            yield finding(key, title, Verdict.UNKNOWN, text, why=why, cure="run it without --quick")
            continue
        cure = "governor performance, turbo off, nothing else running; then commission again"
        yield finding(key, title, graded(spread, MAX_SPREAD, BAD_SPREAD), text, why=why, cure=cure)


_LOOK = "see the reason; `sipa-cluster doctor --node` names the cure, then commission again"


def _order(bench: Bench, lengths: Lengths, node: str, workspace: Path) -> ControlOrder:
    """The first run; the others differ in their sequence."""
    meters = tuple(Meter(kind.value) for kind in METERS)
    return ControlOrder(
        session_id=f"commission-{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        node=node,
        sequence=0,
        after_block=0,
        measurement=measurement_spec(Measurement(meter=meters, control_s=lengths.control_s)),
        workspace=workspace / "control",
        log=workspace / "control.log",
        root=bench.root.absolute(),
    )


def _run(bench: Bench, lengths: Lengths, session: Session, order: ControlOrder) -> ControlResult:
    def report(progress: Progress) -> None:
        done = (order.sequence + (progress.fraction or 0.0)) / lengths.controls
        bench.say(done, f"run {order.sequence + 1} of {lengths.controls}, {progress.phase}")

    # What one run wrote must not be taken for the next one's.
    order.findings.unlink(missing_ok=True)
    return run_control(order, session, report)


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / statistics.fmean(values) if len(values) > 1 else None
