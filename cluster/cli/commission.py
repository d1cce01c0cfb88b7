"""`commission`: the first hour on a new kind of node, kept as evidence that stands in every row that it measures."""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, Self, TextIO, assert_never

import click

from cluster.cli.options import FOLDER, example, json_option, root_option
from cluster.cli.output import folded, say, write_json, write_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobs.commission.commissioning import Request
    from jobs.commission.lengths import Forecast
    from jobs.commission.record import Commissioning
    from jobs.commission.steps import At, Event
    from jobs.commission.verdict import Finding

REFUSED = 5
_WIDEST = 100
_LINE_EVERY_S = 60.0


@click.command(
    epilog=example(
        "sipa-cluster commission --quick",
        "sudo $(command -v sipa-cluster) commission --out .",
        "sipa-cluster commission --list",
    )
)
@click.option("--quick", is_flag=True, help="Cut every step short: shows in a minute or so that all of it works.")
@click.option(
    "--max-stress",
    type=click.FloatRange(min=0, min_open=True, max=24 * 60),
    metavar="MIN",
    help="End the stress after MIN minutes, wrapped or not.  [default: 45]",
)
@root_option()
@click.option("--out", type=FOLDER, metavar="DIR", help="Put copies of both files into DIR.")
@click.option("--list", "listing", is_flag=True, help="List the commissionings that are kept of this node, and stop.")
@json_option("Print the verdicts and where the files are as one JSON record.")
@click.pass_context
def commission(
    ctx: click.Context,
    *,
    quick: bool,
    max_stress: float | None,
    root: Path,
    out: Path | None,
    listing: bool,
    as_json: bool,
) -> None:
    """Find out in an hour whether this node can be trusted.

    It measures the idle node, the counters themselves, the control workload, and a stress that lasts
    until every package counter has wrapped, and keeps what it finds as a JSON and an HTML file, whose id
    stands in every row that this node measures. Nothing else may run meanwhile. Ctrl-C stops it and
    keeps nothing. Exit code 5 means that it cannot measure energy here, or that a verdict says 'fail'
    (of a real machine, not of a rehearsal with --root).
    """
    root = root.absolute()
    if listing:
        _list(root, as_json=as_json)
        return
    ctx.exit(_commission(root, out, quick=quick, max_stress=max_stress, as_json=as_json))


def _commission(root: Path, out: Path | None, *, quick: bool, max_stress: float | None, as_json: bool) -> int:
    from jobs.commission import page, registry
    from jobs.commission.commissioning import Request
    from jobs.commission.facts import require_counters
    from jobs.commission.lengths import FULL, QUICK, limited
    from jobs.commission.record import content
    from jobs.environment import identify
    from jobs.lock import default_path

    require_counters(root)
    identity = identify(root)
    kept = registry.folder_for(str(identity.columns["node_uid"]), root)
    folders = [kept] if out is None else [kept, registry.writable(out, "name another with --out")]
    lengths = QUICK if quick else FULL
    request = Request(
        node=_hostname(),
        identity=identity,
        lock=default_path(),
        results=kept,
        root=root,
        lengths=lengths if max_stress is None else limited(lengths, 60 * max_stress),
    )
    with _interruptible():
        found = _measure(request)
        values = content(found)
        number = registry.commission_id(values)
        began = datetime.fromisoformat(found.started_at)
        try:
            html = page.render(found, number)
        except Exception:
            # An hour's numbers must not be lost to a figure that cannot be drawn.
            registry.write(values, "The page could not be made; the JSON file is whole.", kept, began)
            raise
        paths = [registry.write(values, html, folder, began) for folder in folders]
    _conclude(found, number, paths[-1], as_json=as_json)
    return REFUSED if found.refused else 0


def _measure(request: "Request") -> "Commissioning":
    from jobs.commission.commissioning import commission as measured

    with progress_for(sys.stderr) as progress:
        return measured(request, progress, waiting=progress.waiting)


def _conclude(found: "Commissioning", number: str, path: Path, *, as_json: bool) -> None:
    from cluster.console.quantities import duration
    from jobs.commission.verdict import in_short

    page = path.with_suffix(".html")
    if as_json:
        write_json(
            {
                "commission_id": number,
                "node": found.node,
                "verdict": found.verdict.value,
                "caveat": found.caveat,
                "findings": [{name: getattr(each, name) for name in each.__slots__} for each in found.findings],
                "json": str(path),
                "html": str(page),
            }
        )
        return
    for line in verdict_lines(found.findings, width=_width()):
        click.echo(line)
    click.echo(f"\ncommissioned {found.node} in {duration(found.duration_s)}: {in_short(found.findings)}")
    click.echo(f"id    {number}\npage  {page}\ndata  {path}")
    say(found.caveat or "every row that this node measures from now on carries the id (commission_id)")


def verdict_lines(findings: "Sequence[Finding]", *, width: int) -> Iterator[str]:
    """A paragraph a finding; where something is to be done, also why it matters and what."""
    titles = max((len(each.title) for each in findings), default=0)
    for each in findings:
        calm = each.verdict in ("ok", "unknown")
        verdict = each.verdict if calm else each.verdict.upper()
        yield from folded(f"{verdict:<7}  {each.title:<{titles}}  ", each.found, width)
        if each.verdict != "ok":
            yield from folded("         why   ", each.why, width)
        if each.cure:
            # A command is never folded, so that it can be pasted.
            yield f"         cure  {each.cure}"


def _list(root: Path, *, as_json: bool) -> None:
    from jobs.commission import registry
    from jobs.environment import node_uid

    found = registry.kept(node_uid(root), root)
    if as_json:
        for each in found:
            write_json(
                {
                    "commission_id": each.commission_id,
                    "started_at": each.content.get("started_at"),
                    "verdict": each.content.get("verdict"),
                    "quick": each.quick,
                    "json": str(each.path),
                    "html": str(each.page),
                }
            )
        return
    if not found:
        say("this node has not been commissioned. To do it: sipa-cluster commission")
        return
    rows = [
        (
            each.commission_id,
            str(each.content.get("started_at", "")),
            str(each.content.get("verdict", "")),
            "quick" if each.quick else "full",
            str(each.page),
        )
        for each in found
    ]
    write_table(("id", "began", "verdict", "length", "page"), rows)


class Lines:
    """Progress as plain lines: one when a step begins and one when it is judged, in long steps one a minute.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._step = ""
        self._told_s = 0.0

    def __call__(self, event: "Event") -> None:
        """Write the event's line, if it has one."""
        from jobs.commission.steps import At, Begun, Judged

        match event:
            case Begun():
                self._line(forecast_text(event.forecast))
            case At():
                if event.step != self._step or time.monotonic() - self._told_s >= _LINE_EVERY_S:
                    self._line(_at_text(event))
                self._step = event.step
            case Judged():
                self._line(judged_text(event.step, event.findings))
            case _:
                assert_never(event)

    def waiting(self, who: str) -> None:
        """Say who holds the node's lock."""
        self._line(f"waiting: {who}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def _line(self, text: str) -> None:
        from cluster.console.lines import stamp

        self._told_s = time.monotonic()
        self._stream.write(f"{stamp(datetime.now(UTC))} {text}\n")
        self._stream.flush()


class Live:
    """Progress as one line that is redrawn once a second; what is judged is printed above it for good.

    Args:
        stream: a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live as Redrawn

        self._terminal = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._at: At | None = None
        self._at_s = self._begin_s = time.monotonic()
        self._live = Redrawn(
            console=self._terminal,
            get_renderable=self._draw,
            refresh_per_second=1,
            redirect_stdout=False,
            transient=True,
        )

    def __call__(self, event: "Event") -> None:
        """Take the event in."""
        from jobs.commission.steps import At, Begun, Judged

        match event:
            case Begun():
                self._print(forecast_text(event.forecast))
            case At():
                self._at, self._at_s = event, time.monotonic()
            case Judged():
                self._print(judged_text(event.step, event.findings))
            case _:
                assert_never(event)

    def waiting(self, who: str) -> None:
        """Say who holds the node's lock."""
        self._print(f"waiting: {who}")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def _print(self, text: str) -> None:
        from rich.text import Text

        self._terminal.print(Text(text), soft_wrap=True)

    def _draw(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Column, Table
        from rich.text import Text

        from cluster.console.quantities import clock, duration

        at, now_s = self._at, time.monotonic()
        if at is None:
            return Text("looking at the node ...", style="dim")
        row = Table.grid(*(Column(no_wrap=True) for _ in range(3)), padding=(0, 2, 0, 0))
        bar = Text("") if at.fraction is None else ProgressBar(completed=100 * at.fraction, width=20)
        left_s = max(0.0, at.left_s - (now_s - self._at_s))
        times = f"{clock(now_s - self._begin_s)} · {duration(left_s)} to go"
        row.add_row(Text(at.step.value, style="bold"), bar, Text(" · ".join(filter(None, (times, at.detail)))))
        return row


def progress_for(stream: TextIO) -> Lines | Live:
    """What suits the stream."""
    import os

    return Live(stream) if stream.isatty() and os.environ.get("TERM", "") != "dumb" else Lines(stream)


def forecast_text(forecast: "Forecast") -> str:
    """What it will take, and why."""
    from cluster.console.quantities import duration

    about = "at most " if forecast.at_most else "about "
    stress = f"{duration(forecast.stress_s)} of it the stress" + ("" if forecast.at_most else " until a real wrap")
    return f"commissioning takes {about}{duration(forecast.total_s)}, {stress}; leave the node alone meanwhile"


def judged_text(step: str, findings: "Sequence[Finding]") -> str:
    """What a step said, in one line: only what is not well by name."""
    from jobs.commission.verdict import in_short

    named = [f"{each.title} ({each.verdict}): {each.found}" for each in findings if each.verdict in ("warn", "fail")]
    return "; ".join([f"{step}: {in_short(findings)}", *named])


def _at_text(at: "At") -> str:
    from cluster.console.quantities import duration

    done = "" if at.fraction is None else f" {at.fraction:.0%}"
    detail = f", {at.detail}" if at.detail else ""
    return f"{at.step}{done}{detail}; {duration(at.left_s)} to go"


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM as Ctrl-C: what was started is ended on the way out."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _hostname() -> str:
    import socket

    return socket.gethostname()


def _width() -> int:
    import shutil

    return min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
