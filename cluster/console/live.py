"""Events as a live table on a terminal: one line a node, one bar for the sweep, what happened above it.

The lines above are printed for good, so the terminal's scroll-back holds the whole history.
"""

import threading
from collections.abc import Callable
from typing import Self, TextIO

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from cluster.console.board import Board, Running
from cluster.console.lines import Labels, hint
from cluster.console.quantities import clock, duration
from cluster.events import (
    ControlFinished,
    ControlStarted,
    Draining,
    Event,
    NodeQuarantined,
    SweepFinished,
    TrialCommitted,
    TrialFailed,
    TrialStarted,
)

_REFRESH_PER_S = 1
"""Seldom, because drawing takes CPU time on what may be the machine that is measured."""
_BAR = 16
_BARS_FROM = 80


class LiveTable:
    """A console that redraws a table.

    Args:
        stream: a terminal.
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, stream: TextIO, *, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._board = Board()
        self._labels = Labels()
        self._lock = threading.RLock()
        self._terminal = Terminal(file=stream, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._terminal,
            get_renderable=self._draw,
            refresh_per_second=_REFRESH_PER_S,
            redirect_stdout=False,
            transient=True,
        )

    def __call__(self, event: Event) -> None:
        """Take the event in; what is worth keeping is printed above the table."""
        with self._lock:
            self._board.apply(event, self._now_s())
            text = self._labels.sentence(event, outlook=False)
        # Outside the lock: the refreshing thread holds rich's lock while it waits for ours.
        if text is not None and not isinstance(event, TrialStarted | ControlStarted):
            self._terminal.print(Text(text, style=_style(event)), soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        with self._lock:
            return render(self._board, self._now_s(), width=self._terminal.width)


def render(board: Board, now_s: float, *, width: int) -> RenderableType:
    """The table as it is now; nothing before the sweep has started.

    Args:
        board: the state of the sweep.
        now_s: a monotonic time, the same clock as the board's.
        width: of the terminal, in columns; a narrow one has no bars inside trials.
    """
    if not board.sweep:
        return Text("reading the plan ...", style="dim")
    parts: list[RenderableType] = [_nodes(board, now_s, bars=width >= _BARS_FROM), _overall(board, now_s)]
    if board.draining:
        text = f"{board.draining}: no further trial starts{hint(board.draining)}"
        parts.append(Text(text, style="yellow"))
    return Group(*parts)


def _nodes(board: Board, now_s: float, *, bars: bool) -> Table:
    columns = [
        Column("node", no_wrap=True, overflow="ellipsis", max_width=20),
        Column("trial", no_wrap=True, overflow="ellipsis", ratio=1),
        Column("rep.", justify="right", no_wrap=True),
        Column("phase", no_wrap=True, overflow="ellipsis", max_width=28),
        *([Column("", width=_BAR, no_wrap=True)] if bars else []),
        Column("time", justify="right", no_wrap=True),
    ]
    table = Table(*columns, box=None, expand=True, pad_edge=False, header_style="dim")
    for node, running in board.running.items():
        if running is None:
            quarantined = node in board.quarantined
            words, style = ("quarantined", "yellow") if quarantined else ("between two trials", "dim")
            table.add_row(node, Text(words, style=style))
        else:
            table.add_row(node, *_running(running, now_s, bars=bars))
    return table


def _running(running: Running, now_s: float, *, bars: bool) -> tuple[RenderableType, ...]:
    attempt = f" (attempt {running.attempt})" if running.attempt > 1 else ""
    bar = Text() if running.fraction is None else ProgressBar(completed=100 * running.fraction, width=_BAR)
    return (
        Text(running.label + attempt),
        str(running.repetition or ""),
        Text(f"{running.phase} {running.detail}".rstrip()),
        *((bar,) if bars else ()),
        clock(now_s - running.since_s),
    )


def _overall(board: Board, now_s: float) -> Table:
    parts = [f"{board.done} of {board.planned} done"]
    parts += [f"{board.failed} failed"] if board.failed else []
    parts += [f"{board.stopped} not needed"] if board.stopped else []
    eta_s = None if board.draining else board.eta_s(now_s)
    parts += [] if eta_s is None else [f"{duration(eta_s)} to go"]
    parts += [clock(now_s - board.started_s)]
    # Not expanded: behind a full last line the terminal's "^C" would begin a line that nobody erases.
    row = Table.grid(Column(no_wrap=True), Column(no_wrap=True), padding=(0, 2, 0, 0))
    bar = ProgressBar(total=max(1, board.planned), completed=board.settled, width=24)
    row.add_row(bar, Text(" · ".join(parts)))
    return row


def _style(event: Event) -> str:
    match event:
        case TrialFailed():
            return "red"
        case TrialCommitted():
            return "" if event.row.get("valid", True) else "yellow"
        case ControlFinished():
            return "yellow" if event.doubtful else ""
        case Draining() | NodeQuarantined():
            return "yellow"
        case SweepFinished():
            return "bold" if event.exit_code == 0 else "bold red"
        case _:
            return ""
