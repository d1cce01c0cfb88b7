"""Running a sweep: one process a sweep, rows that may be mixed, workers, then the loop. Running again is resuming.

All state is in the files: whatever kills this process, the next run plans again, looks which rows are there, and goes
on with the rest.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cluster.edges import finished, started
from cluster.events import Event, SweepFinished, TrialProgress, to_record
from cluster.loop import Emit, Loop, Stop
from cluster.supported import refuse_unsupported
from cluster.survey import Request, Survey, open_store, survey
from cluster.workers import InProcessWorkers, Workers
from jobs.environment import differing, environment_id
from jobs.workload import require_packages
from sipa.errors import EnvironmentChanged, ResultsError
from sipa.journal import Journal
from sipa.plan.table import plan_table
from sipa.results.store import Store, writing


def run(request: Request, *, ray: bool, emit: Emit, stop: Stop) -> SweepFinished:
    """Run what is left of a sweep.

    Args:
        request: the sweep, and how.
        ray: drive the node through a local Ray instance.
        emit: called with every event, from this thread.
        stop: asked between two messages.

    Raises:
        UsageError: the file asks for what this version cannot do, or for packages that are not installed.
        ResultsError: another process runs this sweep, or the folder cannot be written.
        MeterError: the node cannot measure what the spec asks for.
        EnvironmentChanged: rows of another environment would be mixed in.
    """
    refuse_unsupported(request.spec)
    require_packages(request.spec.workload.kind)
    with _only_one(request):
        state = survey(request)
        if not state.remaining:
            return _nothing_to_do(state, emit)
        with closing(_workers(state, ray=ray)) as workers:
            return run_with(state, workers, emit=emit, stop=stop)


def run_with(state: Survey, workers: Workers, *, emit: Emit, stop: Stop) -> SweepFinished:
    """Run what is left, on workers that are there. The caller holds the sweep's lock (see `run`)."""
    store = open_store(state.request)
    environments = workers.environments()
    if not state.request.accept_environment:
        _check_environment(state, environments, store)
    spec = state.request.spec
    store.clear_staging()
    store.prepare(spec_hash=spec.spec_hash, spec_text=spec.text, plan=plan_table(state.plan))
    store.reconcile(state.planned)
    with closing(Journal(store.folder.events, durable=False)) as journal:
        heard = _while_heard(emit, stop)
        return Loop(state, workers, store=store, emit=_recorded(heard, journal), stop=stop).run()


@contextmanager
def _only_one(request: Request) -> Iterator[None]:
    folder = request.folder
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ResultsError(
            f"{folder}: another process runs this sweep. Wait for it (sipa-cluster status {folder}), or stop it with "
            "Ctrl-C there."
        ) from None
    except OSError as error:
        raise ResultsError(f"{folder}: {error.strerror}. Choose another place with --results.") from error
    try:
        yield
    finally:
        _remove_if_empty(folder)
        lock.release()


def _remove_if_empty(folder: Path) -> None:
    """A run that was refused before it wrote anything leaves nothing behind."""
    if [path.name for path in folder.iterdir()] == [".lock"]:
        shutil.rmtree(folder, ignore_errors=True)


def _workers(state: Survey, *, ray: bool) -> Workers:
    request = state.request
    node = state.nodes[0].name
    if ray:
        from cluster.ray_workers import RayWorkers

        return RayWorkers(node, measurement=request.spec.measurement, root=request.root, lock=request.lock)
    return InProcessWorkers(node, measurement=request.spec.measurement, root=request.root, lock=request.lock)


def _check_environment(state: Survey, found: Mapping[str, Mapping[str, Any]], store: Store) -> None:
    known = {row["environment_id"]: row for row in state.rows}
    new = {node: each for node, each in found.items() if known and environment_id(each) not in known}
    if not new:
        return
    recorded = store.environments()
    latest = max(state.rows, key=lambda row: row["ended_at"])["environment_id"]
    differences = {node: differing(recorded.get(latest, {}), each) for node, each in new.items()}
    listed = "; ".join(f"{node}: {', '.join(keys)}" for node, keys in differences.items())
    raise EnvironmentChanged(
        f"{state.request.folder}: {len(state.rows)} rows were measured in another environment ({listed}). "
        "Their numbers and new ones may differ for that reason. Go back to it, or add --accept-environment to mix "
        "them, or --replicate LABEL to measure everything anew."
    )


def _while_heard(emit: Emit, stop: Stop) -> Emit:
    """When nobody reads our output any more, the running trial is still finished and kept."""

    def careful(event: Event) -> None:
        try:
            emit(event)
        except BrokenPipeError:
            stop.drain("nobody reads the output")

    return careful


def _recorded(emit: Emit, journal: Journal) -> Emit:
    """Events go to the journal too, without progress and without rows, which have files of their own."""

    def both(event: Event) -> None:
        if not isinstance(event, TrialProgress):
            record = to_record(event, datetime.now(UTC).isoformat())
            record.pop("row", None)
            with writing(journal.path):
                journal.append(record)
        emit(event)

    return both


def _nothing_to_do(state: Survey, emit: Emit) -> SweepFinished:
    """Every planned trial has a row, was stopped or failed. An edited file is kept, and rows move as it says."""
    store, spec = open_store(state.request), state.request.spec
    edited = not (store.folder.specs / f"{spec.spec_hash}.toml").exists()
    if edited or state.superseded or state.restored:
        store.prepare(spec_hash=spec.spec_hash, spec_text=spec.text, plan=plan_table(state.plan))
        store.reconcile(state.planned)
    ended = finished(state, committed=len(state.committed), failed=len(state.failed), reason="", wall_s=0.0)
    emit(started(state, "", 0.0))
    emit(ended)
    return ended
