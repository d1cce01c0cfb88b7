"""A process that holds the knobs of a made host until it is killed: `... -m tests.jobs.knob_holder ROOT GOVERNOR`."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.host import knobs
from tests.jobs.orders import measurement

REPOSITORY = Path(__file__).parents[2]


def main() -> None:
    root, governor, unwinds = Path(sys.argv[1]), sys.argv[2], len(sys.argv) > 3
    if unwinds:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with knobs(measurement(governor=governor, turbo=False), root=root):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        time.sleep(600)


def start(root: Path, governor: str = "performance", *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.knob_holder", str(root), governor, *more],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def holding(root: Path, governor: str = "performance", *more: str) -> Iterator["subprocess.Popen[str]"]:
    """A holder that has the knobs; killed at the end if it is still there."""
    with start(root, governor, *more) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def guardians(root: Path) -> list[int]:
    """The processes that guard the knobs below a root."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"restore-host" in command and str(root).encode() in command:
            found.append(int(folder.name))
    return found


def wait_until(true: Callable[[], bool]) -> None:
    """Wait at most a minute."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


if __name__ == "__main__":
    main()
