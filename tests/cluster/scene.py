"""The events of a small sweep, for everything that shows them. Run as a program, it shows them on its own streams.

python -m tests.cluster.scene < pipe     waits for a line of its standard input where `PAUSE` is
"""

import sys

from cluster.console import console_for
from cluster.events import (
    ControlFinished,
    ControlStarted,
    Draining,
    Event,
    NodeQuarantined,
    SweepFinished,
    SweepStarted,
    TreatmentStopped,
    TrialCommitted,
    TrialFailed,
    TrialProgress,
    TrialStarted,
)

WORK = "v1 net+loop 60 s x 96"
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
        nodes=("node-1", "node-2", "node-3"),
        planned=10,
        committed=2,
        to_run=7,
        failed=1,
        forecast_s=200.0,
        superseded=3,
        restored=0,
        folder="results/small",
    ),
    ControlStarted(node="node-1", sequence=0, place="start", after_block=0),
    TrialProgress(trial_id="control", node="node-1", phase="load", fraction=None),
    ControlFinished(
        node="node-1",
        sequence=0,
        control_id=WORK,
        duration_s=61.2,
        energy_total_j=5213.0,
        temperature_end_c=61.0,
        reason="",
        doubtful=False,
        verdict="0.4% above the median 5192 J of 4 earlier controls of this node (band 3%)",
        eta_s=190.0,
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
    ControlStarted(node="node-3", sequence=1, place="between", after_block=1),
    TrialProgress(trial_id="control", node="node-3", phase="warmup", fraction=None),
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
    ControlFinished(
        node="node-3",
        sequence=1,
        control_id=WORK,
        duration_s=64.0,
        energy_total_j=5470.0,
        temperature_end_c=None,
        reason="",
        doubtful=True,
        verdict="5470 J, 4.9% above the median 5213 J of 4 earlier controls of this node (band 3%)",
        eta_s=60.0,
    ),
    NodeQuarantined(
        node="node-3",
        reason="5470 J, 4.9% above the median 5213 J of 4 earlier controls of this node (band 3%). Look at the node",
        moved=2,
        nodes_left=2,
    ),
    ControlStarted(node="node-2", sequence=4, place="end", after_block=4),
    TreatmentStopped(treatment_id="t1", label="weights=tiny batch_size=4", repetitions=4, skipped=2),
    Draining(reason="Ctrl-C", without_control=True),
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
