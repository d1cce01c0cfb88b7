"""`logs`: what an attempt at a trial printed, or which attempts there were."""

import codecs
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.options import example, json_option, results_option, sweep_argument, trial_argument
from cluster.cli.output import say, write_json, write_table

if TYPE_CHECKING:
    from cluster.cli.attempts import Attempt
    from sipa.results.layout import SweepFolder

_POLL_S = 0.2
_ENOUGH = 20
_WIDEST = 100
"""Characters of a message in the list; all of it is in --json and below the trial's own log."""


@click.command(
    epilog=example(
        "sipa-cluster logs quickstart",
        "sipa-cluster logs quickstart 3fa9c1 --attempt 2",
        "sipa-cluster logs quickstart 3fa9c1 -f",
    )
)
@sweep_argument()
@trial_argument()
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Which attempt; the latest if not given.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the attempt has ended.")
@json_option("Print one JSON record an attempt, or one a line of the log.")
@results_option()
def logs(*, sweep: str, trial: str | None, attempt: int | None, follow: bool, as_json: bool, results: Path) -> None:
    """Print a trial's log, or list all attempts, failures first.

    TRIAL is a trial's id or the beginning of one.
    """
    from cluster.cli.target import existing_folder

    folder = existing_folder(sweep, results)
    if trial is None:
        if attempt is not None or follow:
            raise click.UsageError("--attempt and --follow need a TRIAL: its id or the beginning of it")
        _list(folder, as_json=as_json)
        return
    chosen = choose(folder, trial, attempt)
    for line in _lines(folder, chosen, follow=follow):
        if as_json:
            write_json({"trial_id": chosen.trial_id, "attempt": chosen.number, "line": line})
        else:
            click.echo(line)
    if chosen.failure is not None:
        say(f"attempt {chosen.number} failed in {chosen.failure.phase}: {chosen.failure.message}")


def choose(folder: "SweepFolder", trial: str, attempt: int | None) -> "Attempt":
    """The attempt that is meant.

    Raises:
        UsageError: no such trial or attempt, or the beginning fits several trials.
    """
    from cluster.cli.attempts import attempts
    from sipa.errors import UsageError

    fitting = [each for each in attempts(folder) if each.trial_id.startswith(trial)]
    ids = sorted({each.trial_id for each in fitting})
    if not ids:
        raise UsageError(f"{trial}: {_why_none(folder, trial)}")
    if len(ids) > 1:
        listed = ", ".join(ids[:_ENOUGH])
        raise UsageError(f"{trial}: {len(ids)} trials begin so: {listed}. Give more of the id.")
    numbers = {each.number: each for each in fitting}
    number = max(numbers) if attempt is None else attempt
    if number not in numbers:
        there = ", ".join(map(str, sorted(numbers)))
        raise UsageError(f"{ids[0]}: no attempt {number}. There are: {there}.")
    return numbers[number]


def _why_none(folder: "SweepFolder", trial: str) -> str:
    from cluster.cli.planned import planned

    if any(each.startswith(trial) for each in planned(folder)):
        return "planned, but not started yet, so it has no log."
    return f"no trial begins so. 'sipa-cluster logs {folder.path}' lists them."


def _list(folder: "SweepFolder", *, as_json: bool) -> None:
    from cluster.cli.attempts import attempts
    from cluster.cli.planned import names
    from cluster.console.lines import SHORT, headline

    found, known = attempts(folder), names(folder)
    if as_json:
        for each in found:
            failure = None if each.failure is None else asdict(each.failure)
            write_json(
                {
                    "trial_id": each.trial_id,
                    "attempt": each.number,
                    "ending": each.ending,
                    "failure": failure,
                    "log": str(each.log),
                }
            )
        return
    rows = []
    for each in found:
        what = known.get(each.trial_id, "(not in the present plan)")
        why = "" if each.failure is None else _brief(each.failure.error, headline(each.failure.message))
        rows.append((each.trial_id[:SHORT], str(each.number), each.ending, what, why))
    write_table(("trial", "attempt", "ending", "what", "why"), rows, numeric=(False, True, False, False, False))


def _brief(error: str, message: str) -> str:
    text = f"{error}: {message}"
    return text if len(text) <= _WIDEST else text[: _WIDEST - 4] + " ..."


def _lines(folder: "SweepFolder", attempt: "Attempt", *, follow: bool) -> Iterator[str]:
    from cluster.cli.attempts import Ending, ending, is_running

    def ended() -> bool:
        now = ending(folder, attempt.trial_id, attempt.number, running=is_running(folder))
        return not follow or now is not Ending.RUNNING

    return read_lines(attempt.log, ended=ended, wait=lambda: time.sleep(_POLL_S))


def read_lines(path: Path, *, ended: Callable[[], bool], wait: Callable[[], None]) -> Iterator[str]:
    """The lines of a file that may still grow, without their ends.

    Args:
        path: the file; none is as good as an empty one.
        ended: whether nothing more will be written.
        wait: called when there is nothing new.
    """
    if not path.exists():
        return
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    with path.open("rb") as file:
        while True:
            last = ended()  # asked before reading: what is written in between is read still
            rest += decode(file.read(), last)
            *whole, rest = rest.split("\n")
            yield from whole
            if last:
                break
            wait()
    if rest:
        yield rest
