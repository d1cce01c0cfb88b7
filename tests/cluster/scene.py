"""The events of a small sweep, for everything that shows them. Run as a program, it shows them on its own streams.

python -m tests.cluster.scene < pipe     waits for a line of its standard input where `PAUSE` is
"""

import sys

from cluster.console import console_for
from cluster.events import (
    Draining,
    Event,
    SweepFinished,
    SweepStarted,
    TreatmentStopped,
    TrialCommitted,
    TrialFailed,
    TrialProgress,
    TrialStarted,
)

A, B, C = "a" * 16, "b" * 16, "c" * 16


def start(trial_id: str, node: str, label: str, *, repetition: int, attempt: int) -> TrialStarted:
    return TrialStarted(
        trial_id=trial_id, treatment_id="t" * 16, label=label, repetition=repetition, attempt=attempt, node=node
    )


BEFORE: tuple[Event, ...] = (
    SweepStarted(
        sweep="small",
        session_id="s",
        spec_hash="0" * 16,
        nodes=("node-1", "node-2"),
        planned=10,
        committed=2,
        to_run=7,
        failed=1,
        forecast_s=200.0,
        superseded=3,
        restored=0,
        folder="results/small",
    ),
    TrialStarted(
        trial_id=A, treatment_id="t1", label="weights=tiny batch_size=4", repetition=1, attempt=1, node="node-1"
    ),
    TrialProgress(trial_id=A, node="node-1", phase="load", fraction=None),
    TrialStarted(
        trial_id=B, treatment_id="t2", label="weights=wide batch_size=4", repetition=1, attempt=2, node="node-2"
    ),
    TrialCommitted(
        trial_id=A,
        attempt=1,
        node="node-1",
        duplicate=False,
        left=6,
        eta_s=65.0,
        row={"time_per_image_s": 0.0123, "map_50_95": 0.5312, "energy_estimated_per_image_j": 1.25, "valid": True},
    ),
    TrialStarted(
        trial_id=C, treatment_id="t3", label="weights=[bold]odd[/bold]", repetition=2, attempt=1, node="node-1"
    ),
    TrialProgress(trial_id=C, node="node-1", phase="inference", fraction=0.5, detail="batch 3 of 6"),
)
AFTER: tuple[Event, ...] = (
    TrialFailed(
        trial_id=B,
        label="weights=wide batch_size=4",
        attempt=2,
        node="node-2",
        error="TrialCrash",
        message="died of \x1b[31msignal 9\x1b[0m\r\nTraceback: long",
        phase="inference",
        again=False,
        log="results/small/logs/b.2.log",
        left=5,
    ),
    TreatmentStopped(treatment_id="t1", label="weights=tiny batch_size=4", repetitions=4, skipped=2),
    Draining(reason="Ctrl-C"),
    TrialCommitted(
        trial_id=C,
        attempt=1,
        node="node-1",
        duplicate=True,
        left=2,
        eta_s=None,
        row={"valid": False, "flags": ["foreign: 2 cores"]},
    ),
    SweepFinished(
        sweep="small",
        exit_code=7,
        planned=10,
        committed=3,
        failed=2,
        stopped=2,
        remaining=3,
        reason="Ctrl-C",
        wall_s=75.0,
    ),
)
SCENE = (*BEFORE, *AFTER)


def main() -> None:
    with console_for(json=False, stdout=sys.stdout, stderr=sys.stderr) as console:
        for event in BEFORE:
            console(event)
        sys.stdin.readline()
        for event in AFTER:
            console(event)


if __name__ == "__main__":
    main()
