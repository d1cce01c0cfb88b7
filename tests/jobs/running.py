"""One trial, run for real in a session of its own."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from jobs.order import TrialOrder
from jobs.protocol import run_trial
from jobs.session import Session, open_session
from sipa.trial import TrialFailure, TrialResult


@contextmanager
def session(order: TrialOrder, lock: Path) -> Iterator[Session]:
    opened = open_session(order.measurement, root=order.root, lock=lock, abort=threading.Event())
    with closing(opened):
        yield opened


def run(order: TrialOrder) -> TrialResult | TrialFailure:
    with session(order, order.source_folder / "lock") as held:
        return run_trial(order, held, lambda _: None)


def result(order: TrialOrder) -> TrialResult:
    outcome = run(order)
    assert isinstance(outcome, TrialResult), outcome
    return outcome


def failure(order: TrialOrder) -> TrialFailure:
    outcome = run(order)
    assert isinstance(outcome, TrialFailure), outcome
    return outcome
