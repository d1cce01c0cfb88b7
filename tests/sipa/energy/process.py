"""Work done in the child of a fork, and what a process has open and running."""

import json
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path


def in_child(work: Callable[[], object]) -> object:
    """What `work` returns, as JSON, in the child of a fork; it ends without clean-up of what it inherited."""
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on, a fork beside threads warns; what happens then is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.write(sender, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer, "the child died"
    return json.loads(answer)


def descriptors() -> set[int]:
    """The open descriptors of this process."""
    return {int(entry.name) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}


def guards() -> list[threading.Thread]:
    """The guard threads of all meters of this process."""
    return [thread for thread in threading.enumerate() if thread.name == "energy-guard"]
