"""The state of a sweep, read from its results folder alone: no process is asked, and no sweep file is needed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cluster.cli.attempts import is_running
from cluster.cli.planned import planned
from cluster.scheduler import failed_for_good
from sipa.errors import SpecError
from sipa.journal import Journal, Record
from sipa.results.layout import SweepFolder
from sipa.results.store import Store
from sipa.spec import parse_spec
from sipa.trial import TrialFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far a sweep is.

    Attributes:
        running: whether a process holds the sweep's lock.
        failed: planned trials without a row that a further run would leave alone, in planned order.
        stopped: trials that the stop rule found unnecessary.
        eta_s: expected time until the end; None when nothing runs or nothing is known.
        spec_hash: of the last run; None when its history is lost.
        events: the latest records of the journal.
    """

    sweep: str
    folder: str
    running: bool
    planned: int
    committed: int
    failed: tuple[str, ...]
    stopped: int
    remaining: int
    eta_s: float | None
    spec_hash: str | None
    events: tuple[Record, ...]


def read_state(folder: SweepFolder, *, now: datetime, last: int) -> State:
    """Read the state of a sweep.

    Args:
        folder: its results.
        now: the present time, aware.
        last: how many of the latest events to keep.
    """
    store = Store(folder.path)
    events = list(Journal(folder.events).replay())
    run = _last_run(events)
    plan, committed, running = planned(folder), store.committed(), is_running(folder)
    failed = _failed(plan.keys() - committed, store.failures(), retries=_retries(folder, run), run=run)
    stopped = _stopped(run)
    done = len(committed & plan.keys())
    return State(
        sweep=folder.path.resolve().name,
        folder=str(folder.path),
        running=running,
        planned=len(plan),
        committed=done,
        failed=tuple(trial for trial in plan if trial in failed),
        stopped=stopped,
        remaining=max(0, len(plan) - done - len(failed) - stopped),
        eta_s=_eta_s(run, now) if running else None,
        spec_hash=run[0].get("spec_hash") if run else None,
        events=tuple(events[-last:] if last else ()),
    )


def _last_run(events: Sequence[Record]) -> Sequence[Record]:
    """The events since the last start of a run; none if the journal was lost."""
    starts = [place for place, event in enumerate(events) if event.get("event") == "sweep-started"]
    return events[starts[-1] :] if starts else ()


def _failed(
    open_trials: Collection[str],
    failures: Mapping[str, Sequence[TrialFailure]],
    *,
    retries: int,
    run: Sequence[Record],
) -> frozenset[str]:
    """Trials without a row that a further run would leave alone."""
    nodes = len(run[0].get("nodes", ())) if run else 1
    return frozenset(
        trial
        for trial in failures.keys() & open_trials
        if failed_for_good([each.error for each in failures[trial]], retries, nodes=nodes)
    )


def _retries(folder: SweepFolder, run: Sequence[Record]) -> int:
    """What the spec of the last run says; none if it cannot be read (another version's, or lost)."""
    path = folder.specs / f"{run[0].get('spec_hash') if run else None}.toml"
    try:
        return parse_spec(path.read_text(encoding="utf-8"), path).limits.retries
    except (OSError, UnicodeDecodeError, SpecError):
        return 0


def _stopped(run: Sequence[Record]) -> int:
    """Trials that were not needed when the run started, and those dropped since."""
    match run:
        case [{"planned": int(wanted), "committed": int(done), "failed": int(failed), "to_run": int(todo)}, *_]:
            before = wanted - done - failed - todo
        case _:
            before = 0
    dropped = (each.get("skipped") for each in run if each.get("event") == "treatment-stopped")
    return before + sum(each for each in dropped if isinstance(each, int))


def _eta_s(events: Iterable[Record], now: datetime) -> float | None:
    """The last expectation less the time since."""
    found: tuple[float, datetime] | None = None
    for event in events:
        expected = event.get("eta_s", event.get("forecast_s"))
        if isinstance(expected, int | float) and isinstance(event.get("at"), str):
            found = float(expected), datetime.fromisoformat(event["at"])
    return None if found is None else max(0.0, found[0] - (now - found[1]).total_seconds())
