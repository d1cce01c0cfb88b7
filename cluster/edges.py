"""The two edges of a run: the event that opens it and the one that closes it, from where the sweep stands."""

from cluster.events import SweepFinished, SweepStarted
from cluster.survey import Survey

_DONE, _SOME_FAILED, _REMAIN = 0, 6, 7


def started(state: Survey, session_id: str, forecast_s: float | None) -> SweepStarted:
    """The event that opens a run."""
    return SweepStarted(
        sweep=state.request.spec.name,
        session_id=session_id,
        spec_hash=state.request.spec.spec_hash,
        nodes=tuple(node.name for node in state.nodes),
        planned=len(state.plan.trials),
        committed=len(state.committed),
        to_run=len(state.remaining),
        failed=len(state.failed),
        forecast_s=forecast_s,
        superseded=len(state.superseded),
        restored=len(state.restored),
        folder=str(state.request.folder),
    )


def finished(
    state: Survey, *, committed: int, failed: int, reason: str, wall_s: float, skipped: int = 0
) -> SweepFinished:
    """The event that closes a run; its exit code follows from what is left and what failed."""
    planned = len(state.plan.trials)
    gone = state.skipped + skipped
    remaining = planned - committed - failed - gone
    return SweepFinished(
        sweep=state.request.spec.name,
        exit_code=_REMAIN if remaining else _SOME_FAILED if failed else _DONE,
        planned=planned,
        committed=committed,
        failed=failed,
        stopped=gone,
        remaining=remaining,
        reason=reason,
        wall_s=wall_s,
    )
