"""Events as plain lines for pipes and files: one line an event, no colour, no carriage return.

Progress inside a trial is left out: a log that repeats itself every second is read by nobody.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Self, TextIO, assert_never

from cluster.console.quantities import duration, quantity
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
from sipa.trial import Row

SHORT = 8
"""Digits of a trial's id that are shown: enough to name it to `sipa-cluster logs`."""

CTRL_C = "Ctrl-C"
"""The reason of a drain that the user asked for at the terminal."""

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
                text = _started(event)
            case TrialStarted():
                self._names[event.trial_id] = f"{event.label} repetition {event.repetition}"
                again = f", attempt {event.attempt}" if event.attempt > 1 else ""
                text = f"start {self._name(event.trial_id)} on {event.node}{again}"
            case TrialProgress():
                if event.phase != "waiting":
                    return None
                text = f"wait {self._name(event.trial_id)} on {event.node}: {event.detail}"
            case TrialCommitted():
                text = f"done {self._name(event.trial_id)}: {_committed(event)}"
                text += _outlook(event) if outlook else ""
            case TrialFailed():
                text = f"failed {self._name(event.trial_id)}: {_failed(event)}"
            case TreatmentStopped():
                text = (
                    f"enough {event.label}: known well enough after {event.repetitions} repetitions, "
                    f"{event.skipped} not needed"
                )
            case Draining():
                text = f"drain {event.reason}: no further trial starts{hint(event.reason)}"
            case SweepFinished():
                text = _finished(event)
            case _:
                assert_never(event)
        return one_line(text)

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
    for name, unit, remark in _FIGURES:
        if row.get(name) is not None and not (per_image and "work_unit" in name):
            yield quantity(row[name], unit) + remark
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
        parts.append(f"{event.superseded} rows that this file does not plan moved to superseded/")
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
