"""One trial, run for real in a session of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.environment import identify
from jobs.order import TrialOrder
from jobs.protocol import Session, run_trial
from jobs.trial_process import open_meter
from sipa.trial import TrialFailure, TrialResult


@contextmanager
def session(order: TrialOrder, lock: Path) -> Iterator[Session]:
    with open_meter(order.measurement, order.root) as meter:
        yield Session(meter=meter, identity=identify(order.root), lock=lock, abort=threading.Event().is_set)


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
