"""`run`: measure what is left of a sweep. It is also how an interrupted sweep goes on."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.cli.options import example, json_option, results_option, root_option, sweep_file_argument
from cluster.cli.output import say, write_json
from cluster.cli.remarks import say_remarks

if TYPE_CHECKING:
    from cluster.events import SweepFinished
    from cluster.survey import Request


@click.command(
    epilog=example(
        "sipa-cluster run sweep.toml --dry-run",
        "sipa-cluster run sweep.toml",
        "sipa-cluster run sweep.toml --retry-failed --max-failures 1",
    )
)
@sweep_file_argument()
@click.option("--dry-run", is_flag=True, help="Show what would be done, as `plan` does, and stop.")
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop when N trials have failed for good.  [default: the file's limits.max_failures]",
)
@click.option("--replicate", default="", metavar="LABEL", help="Measure the same treatments anew under this label.")
@click.option("--retry-failed", is_flag=True, help="Try trials again that an earlier run gave up.")
@click.option(
    "--accept-environment",
    is_flag=True,
    help="Add rows although packages, kernel or governor differ from those of the rows that are there.",
)
@click.option("--ray", is_flag=True, help="Drive the worker through Ray instead of in this process.")
@click.option("--local", is_flag=True, help="On this machine, whatever the file's testbed.")
@root_option()
@json_option("Print every event as one JSON record.")
@results_option()
@click.pass_context
def run(
    ctx: click.Context,
    *,
    file: Path,
    dry_run: bool,
    max_failures: int | None,
    replicate: str,
    retry_failed: bool,
    accept_environment: bool,
    ray: bool,
    local: bool,
    root: Path,
    as_json: bool,
    results: Path,
) -> None:
    """Measure every trial that has no row yet.

    Run it again after an interruption or an edit: finished trials are never repeated, and a finished sweep
    has nothing to do. Ctrl-C finishes the running trial and stops; a second Ctrl-C stops at once.
    """
    from cluster.survey import Request
    from sipa.spec import load_spec

    request = Request(
        spec=load_spec(file),
        results=results,
        replicate=replicate,
        max_failures=max_failures,
        retry_failed=retry_failed,
        accept_environment=accept_environment,
        local=local,
        root=root,
    )
    say_remarks(request.spec)
    if dry_run:
        _preview(request, as_json=as_json)
        return
    finished = _measure(request, ray=ray, as_json=as_json)
    if not as_json:
        _conclude(request, finished, ray=ray)
    ctx.exit(finished.exit_code)


def _preview(request: "Request", *, as_json: bool) -> None:
    from cluster.cli.preview import record, show
    from cluster.survey import survey

    seen = survey(request)
    if as_json:
        write_json(record(seen))
    else:
        show(seen, everything=False)
        say("dry run: nothing was started, nothing was written")


def _measure(request: "Request", *, ray: bool, as_json: bool) -> "SweepFinished":
    from cluster import sweep
    from cluster.cli.signals import stopping
    from cluster.console import console_for
    from cluster.loop import Stop

    stop = Stop()
    with (
        console_for(json=as_json, stdout=sys.stdout, stderr=sys.stderr) as console,
        stopping(drain=stop.drain, abort=stop.abort),
    ):
        return sweep.run(request, ray=ray, emit=console, stop=stop)


def _conclude(request: "Request", finished: "SweepFinished", *, ray: bool) -> None:
    """The table on standard output, and what to do next."""
    from cluster.cli.analyse import write_summary

    folder = request.results / request.spec.name
    if finished.committed:
        write_summary(folder, advice=not finished.remaining)
    for step in next_steps(finished, request, ray=ray):
        say(step)


def next_steps(finished: "SweepFinished", request: "Request", *, ray: bool = False) -> list[str]:
    """What a person will want to type now, to be pasted as it stands."""
    folder = shlex.quote(str(request.folder))
    steps = []
    if finished.remaining:
        steps.append(f"{_trials(finished.remaining)} left; this goes on: {_again(request, ray=ray)}")
    if finished.failed:
        steps.append(f"{_trials(finished.failed)} failed; why: sipa-cluster logs {folder}")
    if finished.committed:
        steps.append(f"figures and tables: sipa-cluster report {folder}")
    return steps


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _again(request: "Request", *, ray: bool) -> str:
    """The command that goes on with the same sweep in the same place."""
    words = ["sipa-cluster", "run", str(request.spec.source)]
    words += ["--replicate", request.replicate] if request.replicate else []
    words += ["--results", str(request.results)] if request.results != Path("results") else []
    words += ["--root", str(request.root)] if request.root != Path("/") else []
    words += ["--accept-environment"] if request.accept_environment else []
    words += ["--local"] if request.local else []
    words += ["--ray"] if ray else []
    return shlex.join(words)
