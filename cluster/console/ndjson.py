"""Events as JSON lines, for programs: every event, progress included, as `cluster.events` names it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self, TextIO

from cluster.events import Event, to_record


class JsonLines:
    """A console that writes one JSON object an event.

    Args:
        stream: where to.
        now: the present time, aware.
    """

    def __init__(self, stream: TextIO, *, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now

    def __call__(self, event: Event) -> None:
        """Write the event's record."""
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        self._stream.write(json.dumps(to_record(event, at), allow_nan=False) + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return
