"""A load on every CPU: matrix products that fit the cache and copies that do not, so that processor and memory draw.

It is a process of its own that starts one child a CPU. All end when the one that started them does, even if that one
is killed: the first sees the end of its standard input, the children get a signal from the kernel.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, NoReturn, Self

from jobs.processes import kill_session
from sipa.errors import HostError

READY_S = 120.0
"""Longest wait until every child computes: importing numpy from a slow network file system takes long."""

_SIDE = 128
_COPIED_BYTES = 2**23
_PRODUCTS_A_COPY = 100
_PR_SET_PDEATHSIG = 1
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Load:
    """Every given CPU busy while a `with` block lasts.

    Args:
        cpus: numbers of the CPUs; one child is pinned to each.

    Raises:
        HostError: (on entering) the load did not start.
    """

    def __init__(self, cpus: Sequence[int]) -> None:
        self.cpus = tuple(cpus)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._process = process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobs.commission.load", *map(str, self.cpus)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                start_new_session=True,
            )
            if process.stdout is not None:
                self._wait(process.stdout)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._kill()

    @property
    def leader(self) -> int | None:
        """Process id of the one that started the children, whose session they are; None unless it runs."""
        return None if self._process is None else self._process.pid

    def check(self) -> None:
        """See that it still runs.

        Raises:
            HostError: it ended.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise HostError(f"the load ended by itself with {code}: out of memory? See dmesg")

    def _wait(self, stdout: IO[bytes]) -> None:
        """Until every child has computed once."""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            said = stdout.readline() if selector.select(READY_S) else b""
        if said != b"ready\n":
            raise HostError(f"the load on {len(self.cpus)} CPUs did not start within {READY_S:g} s")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        kill_session(process.pid)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def available() -> tuple[int, ...]:
    """The CPUs that this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


def lead(cpus: Sequence[int]) -> None:
    """Start a child a CPU, say so, and end when standard input does or a child dies; the others end with us."""
    work = _worker()
    signal.signal(signal.SIGCHLD, lambda *_: sys.exit(1))
    reader, writer = os.pipe()
    for cpu in cpus:
        _child(cpu, work, writer)
    begun = 0
    while begun < len(cpus):
        begun += len(os.read(reader, len(cpus)))
    os.write(sys.stdout.fileno(), b"ready\n")
    while os.read(sys.stdin.fileno(), 1):
        pass


def _child(cpu: int, work: Callable[[], None], writer: int) -> None:
    parent = os.getpid()
    if os.fork() == 0:
        _burn(cpu, work, writer, parent)


def _burn(cpu: int, work: Callable[[], None], writer: int, parent: int) -> NoReturn:
    """Work on one CPU until killed."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with suppress(OSError):
            # A CPU that went offline meanwhile: the scheduler finds another.
            os.sched_setaffinity(0, {cpu})
        work()
        os.write(writer, b".")
        while os.getppid() == parent:
            work()
    finally:
        os._exit(1)


def _worker() -> Callable[[], None]:
    """Some ten milliseconds of work; numpy is imported before the forks, and has one thread."""
    import numpy as np

    generator = np.random.default_rng(0)
    left, right = generator.random((2, _SIDE, _SIDE))
    product = np.empty_like(left)
    source = np.zeros(_COPIED_BYTES, dtype=np.uint8)
    target = np.empty_like(source)

    def work() -> None:
        for _ in range(_PRODUCTS_A_COPY):
            np.matmul(left, right, out=product)
        target[:] = source

    return work


if __name__ == "__main__":
    lead([int(each) for each in sys.argv[1:]])
