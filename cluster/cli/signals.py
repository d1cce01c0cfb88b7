"""Ctrl-C once finishes the running trial, twice stops at once, three times asks nobody. Only for `run`."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from cluster.console.lines import CTRL_C


@contextlib.contextmanager
def stopping(*, drain: Callable[[str], None], abort: Callable[[], None]) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into requests for as long as the context lasts.

    A handler runs between two steps of the main thread, which may be in the middle of writing: so it only
    asks. What is said about it comes as an event.

    Args:
        drain: start no further trial; is told why.
        abort: stop at once.
    """
    interrupts = 0

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 1:
            drain(CTRL_C)
        elif interrupts == 2:
            abort()
        else:
            raise KeyboardInterrupt

    def on_terminate(_number: int, _frame: FrameType | None) -> None:
        drain("SIGTERM")

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, on_interrupt),
        signal.SIGTERM: signal.signal(signal.SIGTERM, on_terminate),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
