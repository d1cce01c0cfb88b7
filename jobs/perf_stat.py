"""The source paper's own meter: `perf stat` round the whole process, wrapped so that its numbers can be relied on.

Two traps. The kernel computes each update as a signed 32-bit number of counts, sized for 200 W a package (arch/x86/
events/rapl.c): above that, a run without reads in between comes out negative. So perf reads every 10 s and the
intervals are summed: they are differences of one running count, so the sum is the same number but for the two decimals
to which each is printed. And with intervals perf forgets the exit code of what it ran, so a shell round it keeps it.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.perf_stat_output import (
    DRAM_EVENT,
    PACKAGE_EVENT,
    PARANOID_CURE,
    UNIT,
    PerfStatEnergy,
    parse,
)
from sipa.energy.perf_pmu import MODULE_CURE
from sipa.errors import MeterError

__all__ = ["DRAM_EVENT", "PACKAGE_EVENT", "PerfStat", "PerfStatEnergy", "find", "parse"]

INTERVAL_MS = 10_000
"""Far below 655 s, the kernel's own reference at 200 W, also for packages of several times that."""

INSTALL_CURE = 'sudo apt install "linux-tools-$(uname -r)" (Ubuntu) or linux-perf (Debian)'
"""What installs perf."""

_PMU = "sys/bus/event_source/devices/power/events"
_FOLDERS = ("usr/bin", "usr/sbin", "bin")
_PROBE_S = 30.0
_PROBES = ("0.2", "1")
"""Seconds that a command lasts which only shows whether perf counts."""

_OUTER = """\
status=$1; shift
rm -f "$status"
SIPA_LC_ALL=${LC_ALL-} LC_ALL=C "$@"
code=$?
if [ -s "$status" ]; then
  read -r code <"$status"
  rm -f "$status"
  if [ "$code" -gt 128 ]; then kill -"$((code - 128))" $$ 2>/dev/null; fi
fi
exit "$code"
"""
_INNER = """\
status=$1; shift
LC_ALL=$SIPA_LC_ALL; unset SIPA_LC_ALL
if [ -z "$LC_ALL" ]; then unset LC_ALL; fi
"$@"
code=$?
echo "$code" >"$status"
exit "$code"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfStat:
    """A perf that can count the energy of this machine.

    Attributes:
        program: its path.
        package_event: what is counted as the packages' energy.
        dram_event: the same of DRAM; None where the machine has none.
        unit: in which both are printed.
        interval_ms: time between two readings.
    """

    program: Path
    package_event: str = PACKAGE_EVENT
    dram_event: str | None = DRAM_EVENT
    unit: str = UNIT
    interval_ms: int = INTERVAL_MS

    def wrap(self, command: Sequence[str], output: Path) -> list[str]:
        """The command that runs `command` under perf; more arguments may be appended to it.

        Standard streams, inherited descriptors, environment and session pass through, also the exit code; where a
        signal ended the command, the shell ends itself by the same, after `output` was written.

        Args:
            command: the program and its arguments.
            output: takes what perf counted; `output.status` beside it is used meanwhile.
        """
        events = ",".join(each for each in (self.package_event, self.dram_event) if each)
        status = f"{output}.status"
        # The energy events belong to no process. perf 6.1 sees that by itself, but only if no other event is counted.
        count = ["stat", "-x,", "-a", "-I", str(self.interval_ms), "-e", events, "-o", str(output), "--"]
        return [
            *("/bin/sh", "-c", _OUTER, "perf-stat", status),
            *(str(self.program), *count),
            *("/bin/sh", "-c", _INNER, "perf-stat", status),
            *command,
        ]

    def read(self, output: Path) -> PerfStatEnergy:
        """What a wrapped command's perf wrote.

        Raises:
            MeterError: there is no such file, or `parse` refuses it.
        """
        try:
            text = output.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise MeterError(f"{output}: perf left no output: {error.strerror}") from error
        dram_event = self.dram_event or DRAM_EVENT
        return parse(text, output, package_event=self.package_event, dram_event=dram_event, unit=self.unit)


def find(root: Path = Path("/")) -> PerfStat:
    """The perf of the machine below `root`, tried once on a command that does nothing.

    Args:
        root: where `sys` and `usr/bin` are; `/` uses the PATH.

    Raises:
        MeterError: there is no energy PMU, no perf, or no permission: with the cure.
    """
    events = root / _PMU
    if not (events / "energy-pkg").exists():
        raise MeterError(
            f"{events}: has no energy-pkg, so perf cannot count energy. On bare metal: {MODULE_CURE}. "
            f"A virtual machine has no such counter"
        )
    dram_event = DRAM_EVENT if (events / "energy-ram").exists() else None
    found = PerfStat(program=_program(root), dram_event=dram_event)
    _probe(found)
    return found


def _probe(perf: PerfStat) -> None:
    """Count a command that does nothing: everything that can be missing shows here and not half an hour later.

    Raises:
        MeterError: perf refuses, or what it prints is refused.
    """
    with tempfile.TemporaryDirectory(prefix="sipa-perf-") as folder:
        output = Path(folder) / "perf.csv"
        try:
            _count(perf, _PROBES[0], output)
        except MeterError:
            # perf prints nothing of a command that ends before perf begins to wait for it, as on a busy machine.
            _count(perf, _PROBES[1], output)


def _count(perf: PerfStat, seconds: str, output: Path) -> None:
    try:
        ended = subprocess.run(
            perf.wrap(["sleep", seconds], output),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeterError(f"{perf.program}: did not end within {_PROBE_S:g} s") from None
    if ended.returncode != 0:
        raise MeterError(f"{perf.program}: {_why(ended.stderr.decode(errors='replace'), ended.returncode)}")
    perf.read(output)


def _why(said: str, code: int) -> str:
    if "Access to performance monitoring" in said or "ermission denied" in said:
        return f"may not count the whole machine (kernel.perf_event_paranoid). Cure: {PARANOID_CURE}"
    if "Cannot find PMU" in said or "unknown term" in said:
        return f"knows no energy event. Cure: {MODULE_CURE}"
    if "not found for kernel" in said:
        return f"is not there for this kernel. Cure: {INSTALL_CURE}"
    lines = (line.strip() for line in said.splitlines())
    return next((line for line in lines if line), f"ended with {code} and said nothing")


def _program(root: Path) -> Path:
    everywhere = root == Path("/")
    folders = [os.environ.get("PATH", os.defpath)] if everywhere else []
    folders += [str(root / folder) for folder in _FOLDERS]
    if found := shutil.which("perf", path=os.pathsep.join(folders)):
        return Path(found)
    raise MeterError(f"there is no perf {'on the PATH' if everywhere else f'below {root}'}. Cure: {INSTALL_CURE}")
