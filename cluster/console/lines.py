"""Events as plain lines for pipes and files: one line an event, no colour, no carriage return.

Progress inside a trial is left out: a log that repeats itself every second is read by nobody.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Self, TextIO, assert_never

from cluster.console.quantities import duration, quantity
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
from sipa.trial import Row

SHORT = 8
"""Digits of a trial's id that are shown: enough to name it to `sipa-cluster logs`."""

CTRL_C = "Ctrl-C"
"""The reason of a drain that the user asked for at the terminal."""

_WORK = "unit"
_FIGURES = (
    ("time_per_image_s", "s/image", ""),
    ("time_per_work_unit_s", "s/unit", ""),
    ("energy_per_image_j", "J/image", ""),
    ("energy_per_work_unit_j", "J/unit", ""),
    ("energy_estimated_per_image_j", "J/image", " estimated"),
    ("energy_estimated_per_work_unit_j", "J/unit", " estimated"),
)


class Lines:
    """A console that writes one line an event.

    Args:
        stream: where to.
        now: the present time, aware.
    """

    def __init__(self, stream: TextIO, *, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now
        self._labels = Labels()

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        text = self._labels.sentence(event)
        if text is not None:
            self._stream.write(f"{stamp(self._now())} {text}\n")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return


class Labels:
    """What trials are called: only their start says it, and later events name them by id.

    Args:
        names: trial_id -> what to call the trial, if it is known before.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})

    def sentence(self, event: Event, *, outlook: bool = True) -> str | None:
        """The event in one line; None for progress inside a trial, waiting for the node excepted.

        Args:
            event: what happened.
            outlook: say after each trial how many are left and how long they will take.
        """
        match event:
            case SweepStarted():
                text: str | None = _started(event)
            case TrialStarted() | TrialProgress() | TrialCommitted() | TrialFailed():
                text = self._trial(event, outlook=outlook)
            case TreatmentStopped():
                text = (
                    f"enough {event.label}: known well enough after {event.repetitions} repetitions, "
                    f"{event.skipped} not needed"
                )
            case ControlStarted() | ControlFinished() | NodeQuarantined():
                text = _control(event, outlook=outlook)
            case Draining():
                text = f"drain {event.reason}: {_left_out(event)}{hint(event.reason)}"
            case SweepFinished():
                text = _finished(event)
            case _:
                assert_never(event)
        return None if text is None else one_line(text)

    def _trial(
        self, event: TrialStarted | TrialProgress | TrialCommitted | TrialFailed, *, outlook: bool
    ) -> str | None:
        match event:
            case TrialStarted():
                self._names[event.trial_id] = f"{event.label} repetition {event.repetition}"
                again = f", attempt {event.attempt}" if event.attempt > 1 else ""
                return f"start {self._name(event.trial_id)} on {event.node}{again}"
            case TrialProgress():
                waits = event.phase == "waiting"
                return f"wait {self._name(event.trial_id)} on {event.node}: {event.detail}" if waits else None
            case TrialCommitted():
                text = f"done {self._name(event.trial_id)}: {_committed(event)}"
                return text + (_outlook(event) if outlook else "")
            case TrialFailed():
                return f"failed {self._name(event.trial_id)}: {_failed(event)}"

    def _name(self, trial_id: str) -> str:
        return f"{trial_id[:SHORT]} {self._names.get(trial_id, '')}".rstrip()


def hint(reason: str) -> str:
    """What else can be done about a drain."""
    return ", the running one is finished; Ctrl-C again stops at once" if reason == CTRL_C else ""


def stamp(moment: datetime) -> str:
    """A time as lines begin with it: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def headline(message: str) -> str:
    """The first line of a message; what follows (a traceback) is in the log."""
    return one_line(next((line for line in message.splitlines() if line.strip()), ""))


def one_line(text: str) -> str:
    """The text without line breaks and control characters: a trial's message may hold anything."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def figures(row: Row) -> str:
    """The few numbers of a row that tell whether the trial makes sense."""
    return ", ".join(_figures(row))


def _figures(row: Row) -> Iterator[str]:
    per_image = row.get("time_per_image_s") is not None
    work = one_line(str(row.get("work_unit") or _WORK))
    for name, unit, remark in _FIGURES:
        if row.get(name) is not None and not (per_image and "work_unit" in name):
            yield quantity(row[name], unit.replace(_WORK, work)) + remark
    if row.get("map_50_95") is not None:
        yield f"AP {quantity(row['map_50_95'], '1')}"
    if row.get("valid") is False:
        yield f"doubtful ({'; '.join(row.get('flags') or ())})"


def _started(event: SweepStarted) -> str:
    time = "" if event.forecast_s is None else f", about {duration(event.forecast_s)}"
    where = f" on {', '.join(event.nodes)}{time}" if event.to_run else ": nothing to do"
    parts = [f"{event.planned} planned", f"{event.committed} done earlier", f"{event.to_run} to run{where}"]
    if event.failed:
        parts.append(f"{event.failed} failed for good earlier (--retry-failed tries them again)")
    if event.superseded:
        parts.append(f"{event.superseded} rows that are not in this plan moved to superseded/")
    if event.restored:
        parts.append(f"{event.restored} rows brought back from superseded/")
    return f"sweep {event.sweep}: {'; '.join(parts)}; results in {event.folder}"


def _committed(event: TrialCommitted) -> str:
    found = figures(event.row) or "row kept"
    kept = " (a duplicate: the trial had a row already)" if event.duplicate else ""
    return found + kept


def _outlook(event: TrialCommitted) -> str:
    eta = "" if event.eta_s is None else f", {duration(event.eta_s)} to go"
    return f"; {event.left} left{eta}"


def _left_out(event: Draining) -> str:
    return f"no further trial starts{', no control at the end' if event.without_control else ''}"


def _control(event: ControlStarted | ControlFinished | NodeQuarantined, *, outlook: bool) -> str:
    match event:
        case ControlStarted():
            when = f"after repetition {event.after_block}" if event.after_block else "before the first trial"
            return f"control starts on {event.node} {'at the end' if event.place == 'end' else when}"
        case ControlFinished():
            left = f"; {duration(event.eta_s)} to go" if outlook and event.eta_s is not None else ""
            if event.doubtful:
                return f"control doubtful on {event.node}: {event.verdict}{left}"
            took = f"{quantity(event.energy_total_j, 'J')} in {duration(event.duration_s)}"
            return f"control done on {event.node}: {took}, {event.verdict}{left}"
        case NodeQuarantined():
            goes_on = f"{event.moved} trials go to other nodes ({event.nodes_left} left)"
            then = goes_on if event.nodes_left else "no node is left"
            return f"quarantine {event.node}: no further trial there, {then}: {event.reason}"


def _failed(event: TrialFailed) -> str:
    then = "will be tried again" if event.again else "given up"
    return f"{event.error} in {event.phase} on {event.node}: {headline(event.message)} ({then}; log: {event.log})"


def _finished(event: SweepFinished) -> str:
    parts = [f"{event.committed} of {event.planned} done"]
    parts += [f"{event.failed} failed"] if event.failed else []
    parts += [f"{event.stopped} not needed"] if event.stopped else []
    parts += [f"{event.remaining} remain"] if event.remaining else []
    reason = f": {event.reason}" if event.reason else ""
    return f"end {event.sweep}: {', '.join(parts)} after {duration(event.wall_s)}{reason}"
