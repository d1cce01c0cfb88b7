"""Where a sweep stands: what its file plans, what is committed, what failed, what is left. Reads, never writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.scheduler import failed_for_good
from cluster.testbed import Node, nodes
from jobs.contents import contents
from jobs.lock import default_path
from sipa.plan import (
    Assignment,
    Durations,
    Forecast,
    Plan,
    assign,
    durations,
    forecast,
    make_plan,
    protocol_id,
    remaining,
    stopped,
)
from sipa.results.schema import own_columns
from sipa.results.store import Store
from sipa.spec.model import SweepSpec, TestbedKind, TestbedSpec
from sipa.trial import Row, Trial, TrialFailure, trial_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asks of a sweep.

    Attributes:
        results: the folder that holds a folder for each sweep.
        replicate: label under which all trials are measured anew; "" for the first time.
        max_failures: overrides limits.max_failures.
        retry_failed: take trials that failed for good once more.
        accept_environment: add rows though the environment differs from that of the committed ones.
        local: run on this machine whatever the testbed of the spec.
        root: counters and host state are read below it; "/" but for rehearsals.
        lock: the node's lock file.
    """

    spec: SweepSpec
    results: Path
    replicate: str = ""
    max_failures: int | None = None
    retry_failed: bool = False
    accept_environment: bool = False
    local: bool = False
    root: Path = Path("/")
    lock: Path = field(default_factory=default_path)

    @property
    def folder(self) -> Path:
        """The sweep's own folder."""
        return self.results / self.spec.name

    @property
    def failure_limit(self) -> int:
        """The run ends when this many trials failed for good in it."""
        return self.spec.limits.max_failures if self.max_failures is None else self.max_failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Where a sweep stands.

    Attributes:
        rows: committed rows of this replicate, those that would be restored included.
        committed: their ids.
        failed: trials that failed for good, with their failures; empty with `retry_failed`.
        failures: classes of the failures that count against trials that are still to run.
        stopped: treatment_id -> repetition after which the stop rule ended it.
        remaining: what is left to run, in planned order.
        planned: ids of the plan under every replicate label that has rows: what may stay in `trials/`.
        superseded: rows that a run would move aside.
        restored: rows that a run would bring back.
    """

    request: Request
    plan: Plan
    nodes: tuple[Node, ...]
    rows: tuple[Row, ...]
    committed: frozenset[str]
    failed: Mapping[str, list[TrialFailure]]
    failures: Mapping[str, list[str]]
    stopped: Mapping[str, int]
    remaining: tuple[Trial, ...]
    durations: Durations
    assignment: Assignment
    forecast: Forecast
    planned: frozenset[str]
    superseded: tuple[str, ...]
    restored: tuple[str, ...]

    @property
    def skipped(self) -> int:
        """Trials that the stop rule made unnecessary."""
        ends = self.stopped
        return sum(
            trial.repetition > ends.get(trial.treatment.treatment_id, trial.repetition)
            and trial.trial_id not in self.committed
            for trial in self.plan.trials
        )


def survey(request: Request) -> Survey:
    """Look at the sweep file and at the results.

    Raises:
        UsageError: weights, data or inputs that the file names cannot be read, or a testbed that this version
            cannot reach.
        ResultsError: a file in `trials/` that is no row.
    """
    spec = request.spec
    machines = nodes(TestbedSpec(kind=TestbedKind.LOCAL) if request.local else spec.testbed)
    plan = make_plan(spec, replicate=request.replicate, contents=contents(spec))
    store = open_store(request)
    present, aside = store.rows(), store.superseded_rows()
    planned = _planned(plan, protocol_id(spec), {row["replicate"] for row in (*present, *aside)})
    restored = [row for row in aside if row["trial_id"] in planned]
    rows = tuple(row for row in (*present, *restored) if row["trial_id"] in plan.positions)
    return _stand(
        request,
        plan=plan,
        machines=machines,
        rows=rows,
        history=store.failures(),
        planned=planned,
        superseded=tuple(row["trial_id"] for row in present if row["trial_id"] not in planned),
        restored=tuple(row["trial_id"] for row in restored),
    )


def open_store(request: Request) -> Store:
    """The sweep's results folder."""
    return Store(request.folder, extra=own_columns(request.spec))


def _planned(plan: Plan, protocol: str, labels: set[str]) -> frozenset[str]:
    ids = set(plan.positions)
    for label in labels:
        ids |= {trial_id(each.treatment.treatment_id, protocol, each.repetition, label) for each in plan.trials}
    return frozenset(ids)


def _stand(
    request: Request,
    *,
    plan: Plan,
    machines: tuple[Node, ...],
    rows: tuple[Row, ...],
    history: Mapping[str, list[TrialFailure]],
    planned: frozenset[str],
    superseded: tuple[str, ...],
    restored: tuple[str, ...],
) -> Survey:
    spec = request.spec
    rule, retries = spec.design.stop, spec.limits.retries
    open_trials = remaining(plan, rows, rule)
    errors = {
        trial.trial_id: [each.error for each in history[trial.trial_id]]
        for trial in open_trials
        if trial.trial_id in history and not request.retry_failed
    }
    lost = {each for each, found in errors.items() if failed_for_good(found, retries, nodes=len(machines))}
    left = tuple(trial for trial in open_trials if trial.trial_id not in lost)
    expected = durations([each.treatment_id for each in plan.treatments], spec.measurement, rows)
    homes = {row["trial_id"]: row["node"] for row in rows}
    wanted = [*(trial for trial in plan.trials if trial.trial_id in homes), *left]
    wanted.sort(key=lambda trial: plan.positions[trial.trial_id])
    queues = assign(wanted, [node.name for node in machines], seconds=expected.seconds(), committed=homes)
    return Survey(
        request=request,
        plan=plan,
        nodes=machines,
        rows=rows,
        committed=frozenset(homes),
        failed={each: history[each] for each in sorted(lost)},
        failures={each: found for each, found in errors.items() if each not in lost},
        stopped=stopped(plan, rows, rule) if rule else {},
        remaining=left,
        durations=expected,
        assignment=queues,
        forecast=forecast(queues, expected, spec.prices, rows),
        planned=planned,
        superseded=superseded,
        restored=restored,
    )
