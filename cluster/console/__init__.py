"""Three readers of a sweep's events: a live table on a terminal, plain lines elsewhere, JSON lines on demand.

Events are talk and go to standard error; only the JSON lines are data and go to standard output.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol, Self, TextIO

from cluster.events import Event


class Console(Protocol):
    """Takes events while it is open."""

    def __call__(self, event: Event) -> None:
        """Show an event."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *exc: object) -> None:
        """Give the terminal back."""


def console_for(*, json: bool, stdout: TextIO, stderr: TextIO, environment: Mapping[str, str] = os.environ) -> Console:
    """The console that suits the streams.

    Args:
        json: whether a program reads standard output.
        stdout: for JSON lines.
        stderr: for people.
        environment: TERM=dumb means a terminal that cannot redraw (NO_COLOR is honoured by rich itself).
    """
    if json:
        from cluster.console.ndjson import JsonLines

        return JsonLines(stdout, now=_now)
    if stderr.isatty() and environment.get("TERM", "") != "dumb":
        from cluster.console.live import LiveTable

        return LiveTable(stderr, now_s=time.monotonic)
    from cluster.console.lines import Lines

    return Lines(stderr, now=_now)


def _now() -> datetime:
    return datetime.now(UTC)
