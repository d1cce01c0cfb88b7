"""What a process that a worker started does first: back to niceness 0, and an end with the worker's.

Its standard input is a lifeline: the worker holds the other end and never writes, so end-of-file says that the worker
is gone, however it died, and the whole session ends at once instead of running on unwatched.
"""

import os
import signal
import threading
from contextlib import suppress

from jobs.processes import kill_session


def be_nice_to_nobody() -> int:
    """Back to niceness 0, where this user may: Ray starts its workers at 15. Returns what it is then."""
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)
    return os.getpriority(os.PRIO_PROCESS, 0)


def end_with(lifeline: int | None) -> None:
    """From now on, end this process and its session when the lifeline does; None by hand, without one."""
    if lifeline is not None:
        threading.Thread(target=_die_with, args=(lifeline,), name="lifeline", daemon=True).start()


def _die_with(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    kill_session(os.getsid(0), spare=os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
