"""Programs that see a fake machine in place of the real /sys, by a mount namespace of their own.

The class folder, the virtual devices and the cpuinfo of the fake tree lie over the real ones, so a program that knows
no other root finds the fake counters where it looks for real ones. It has no network.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).parents[2]
PEERS = REPOSITORY / ".venv-peers"
PROGRAM = Path(__file__).parent / "program.py"
NOBODY = 65534
ANSWER_S = 120.0

_MOUNT = """set -e
mount --bind "$1/sys/class" /sys/class
mount --bind "$1/sys/devices/virtual" /sys/devices/virtual
mount --bind "$1/proc/cpuinfo" /proc/cpuinfo
shift
"""

_EXPOSE = """keep=$(mktemp -d)
mkdir "$keep/it"
mount --bind "{path}" "$keep/it"
mount -t tmpfs -o mode=755 none "{closed}"
mkdir -p "{path}"
mount --move "$keep/it" "{path}"
"""


def why_not() -> str | None:
    """Why no program can be run in a mount namespace here, or None."""
    if shutil.which("unshare") is None:
        return "no program `unshare`. Cure: sudo apt-get install util-linux"
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return f"mount namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else None


def why_no_peers() -> str | None:
    """Why the other meters cannot be run, or None."""
    if not (PEERS / "bin/python").exists():
        return f"{PEERS} does not exist. Cure: make peers"
    return why_not()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Where programs see a fake machine.

    Attributes:
        root: of the fake machine.
        home: a folder that the programs may write to.
        nobody: whether they run as the user nobody, for which one has to be root.
    """

    root: Path
    home: Path
    nobody: bool = False

    def command(self, tool: str, *options: str) -> list[str]:
        """The command that runs one meter."""
        python = sys.executable if tool in ("ours", "nothing") else str(PEERS / "bin/python")
        return [*self.enter(), python, str(PROGRAM), tool, *options]

    def enter(self) -> list[str]:
        """What to put before a command."""
        script = _MOUNT
        identity = []
        if self.nobody:
            script += "".join(_EXPOSE.format(path=path, closed=closed) for path, closed in _hidden_from_others())
            identity = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        return [*_unshare(), "sh", "-c", script + 'exec "$@"\n', "sh", str(self.root), *identity]

    @property
    def environment(self) -> dict[str, str]:
        """Little more than a path: no settings of the user's, and nothing of ours but the packages."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


class Running:
    """One meter that is told when to begin and to end."""

    def __init__(self, sandbox: Sandbox, tool: str) -> None:
        self.tool = tool
        self._log = (sandbox.home / f"{tool}.log").open("w")
        self._process = subprocess.Popen(
            sandbox.command(tool),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=sandbox.environment,
            cwd=sandbox.home,
            text=True,
        )

    def tell(self, command: str) -> None:
        """Send a command, and do not wait for the answer."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The answer to the oldest command that has none yet; one that died, or hangs and is killed, says so."""
        assert self._process.stdout is not None
        hanging = threading.Timer(ANSWER_S, self._process.kill)
        hanging.start()
        line = self._process.stdout.readline()
        hanging.cancel()
        if not line:
            return {"error": f"its process ended with {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.tell("quit")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()


def ask_all(meters: Iterable[Running], command: str) -> dict[str, dict[str, Any]]:
    """Tell all meters the same at the same time.

    Returns:
        The answer of each.
    """
    asked = list(meters)
    for meter in asked:
        meter.tell(command)
    return {meter.tool: meter.answer() for meter in asked}


def _unshare() -> Sequence[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "--net"]


def _hidden_from_others() -> list[tuple[Path, Path]]:
    """What the programs need and only its owner may reach, with the topmost folder that is closed."""
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix), REPOSITORY, PEERS.resolve()}
    hidden: dict[Path, Path] = {}
    for path in sorted(needed):
        closed = [folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001]
        if closed and not any(path.is_relative_to(other) for other in hidden):
            hidden[path] = closed[0]
    return list(hidden.items())
