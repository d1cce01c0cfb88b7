"""The attempts that left a trace in a results folder, and how each ended."""

import fcntl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sipa.results.layout import SweepFolder
from sipa.trial import TrialFailure


class Ending(StrEnum):
    """How an attempt ended."""

    FAILED = "failed"
    LOST = "lost"
    RUNNING = "running"
    DUPLICATE = "duplicate"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at one trial.

    Attributes:
        ending: `lost` if its run was killed before it ended.
        failure: what is known if it failed.
        log: what it printed; the file may be missing if it failed before it printed.
    """

    trial_id: str
    number: int
    ending: Ending
    failure: TrialFailure | None
    log: Path


def attempts(folder: SweepFolder) -> list[Attempt]:
    """Every attempt: failures first, then by trial and number."""
    from sipa.results.store import Store

    failures = {
        (each.trial_id, each.attempt): each for known in Store(folder.path).failures().values() for each in known
    }
    running = is_running(folder)
    keys = {_key(path) for path in folder.logs.glob("*.log")} | failures.keys()
    found = [
        Attempt(
            trial_id=trial,
            number=number,
            ending=ending(folder, trial, number, running=running),
            failure=failures.get((trial, number)),
            log=folder.log(trial, number),
        )
        for trial, number in keys
    ]
    order = list(Ending)
    return sorted(found, key=lambda each: (order.index(each.ending), each.trial_id, each.number))


def is_running(folder: SweepFolder) -> bool:
    """Whether a process holds the sweep's lock."""
    try:
        with folder.lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def ending(folder: SweepFolder, trial_id: str, number: int, *, running: bool) -> Ending:
    """How an attempt ended, from the files it left.

    Args:
        folder: of the sweep.
        trial_id: of the trial.
        number: of the attempt, from 1.
        running: whether the sweep's lock is held.
    """
    name = f"{trial_id}.{number}.parquet"
    if folder.failure(trial_id, number).exists():
        return Ending.FAILED
    if (folder.duplicates / name).exists():
        return Ending.DUPLICATE
    rows = (folder.row(trial_id), folder.superseded / f"{trial_id}.parquet")
    # The phases carry the attempt's number and are written just before the row, which does not.
    if (folder.phases / name).exists() and any(row.exists() for row in rows):
        return Ending.DONE
    return Ending.RUNNING if running and folder.workspace(trial_id, number).exists() else Ending.LOST


def _key(path: Path) -> tuple[str, int]:
    trial, _, number = path.stem.rpartition(".")
    return trial, int(number) if number.isdigit() else 0
