"""What a command prints, line by line as it comes, passed on to the log untouched and never held whole in memory."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

LINE_LIMIT = 2**20
"""Of a longer line only so many bytes are kept; no marker and no JSON line is that long."""

LINGER_S = 1.0
"""How long output is still read after the command has ended, when something that it started keeps the pipe open."""


def lines(process: "subprocess.Popen[bytes]", lingering: Callable[[], None]) -> Iterator[str]:
    """Lines of a process' standard output, without their ends, until it is closed or the process has ended.

    Args:
        process: started with a pipe for its standard output.
        lingering: called if the process ended while something else kept its output open.
    """
    assert process.stdout is not None  # noqa: S101 asked for with PIPE
    rest = b""
    for chunk in _chunks(process, process.stdout.fileno(), lingering):
        sys.stdout.buffer.write(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        rest = rest[:LINE_LIMIT]
        for line in whole:
            yield _text(line)
    sys.stdout.buffer.flush()
    if rest:
        yield _text(rest)


def _chunks(process: "subprocess.Popen[bytes]", pipe: int, lingering: Callable[[], None]) -> Iterator[bytes]:
    # A descriptor for the process wakes us when it ends; polling would disturb the window.
    ended_at: float | None = None
    pidfd = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            selector.register(pidfd, selectors.EVENT_READ)
            while True:
                timeout = None if ended_at is None else max(0.0, ended_at + LINGER_S - time.monotonic())
                ready = {key.fd for key, _ in selector.select(timeout)}
                if pipe in ready:
                    chunk = os.read(pipe, 65536)
                    if not chunk:
                        return
                    yield chunk
                if pidfd in ready:
                    ended_at = time.monotonic()
                    selector.unregister(pidfd)
                elif ended_at is not None and time.monotonic() >= ended_at + LINGER_S:
                    lingering()
                    return
    finally:
        os.close(pidfd)


def _text(line: bytes) -> str:
    return line[:LINE_LIMIT].decode(errors="replace").rstrip("\r")
