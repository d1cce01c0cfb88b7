"""The two knobs of the CPU frequency, governor and turbo: what a sweep file asks of them, and how they are turned.

A knob is a file of /sys, and only files and values of the forms below are ever written, whoever asks: a journal lies
in a folder that is writable for everybody.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.sysfs import numbered, text
from sipa.errors import HostError

if TYPE_CHECKING:
    from sipa.spec.model import MeasurementSpec

CPU = "sys/devices/system/cpu"
NO_TURBO = f"/{CPU}/intel_pstate/no_turbo"
BOOST = f"/{CPU}/cpufreq/boost"

_FORMS = (
    (re.compile(rf"/{CPU}/(cpufreq/policy\d+|cpu\d+/cpufreq)/scaling_governor"), re.compile(r"[A-Za-z0-9_-]{1,15}")),
    (re.compile(rf"{NO_TURBO}|{BOOST}"), re.compile(r"[01]")),
)
"""Which values may be written where; CPUFREQ_NAME_LEN of the kernel is 16."""

_SUDO_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One knob that has another value than it should.

    Attributes:
        path: the file, absolute, as it is called where the root is `/`.
        old: what it says.
        wanted: what it should say.
    """

    path: str
    old: str
    wanted: str

    @property
    def allowed(self) -> bool:
        """Whether this is a knob at all, and both are values of one."""
        return any(
            name.fullmatch(self.path) and value.fullmatch(self.old) and value.fullmatch(self.wanted)
            for name, value in _FORMS
        )


def place(root: Path, path: str) -> Path:
    """Where a knob is below a root."""
    return root / path.lstrip("/")


def differing(measurement: "MeasurementSpec", root: Path) -> tuple[Setting, ...]:
    """The knobs that are not as the sweep file asks.

    Raises:
        HostError: the file asks for what this host does not have: no governors, another list of them, no turbo knob.
    """
    found = (*_governors(measurement.governor, root), *_turbo(measurement.turbo, root))
    if strange := [each for each in found if not each.allowed]:
        each = strange[0]
        raise HostError(
            f"{place(root, each.path)}: says {each.old!r}, should say {each.wanted!r}: one of them no kernel knows. "
            "Cure: leave the key out"
        )
    return found


def governor_files(root: Path) -> list[Path]:
    """The governor of each group of CPUs; one whose CPUs are all offline cannot be read and is left out."""
    policies = numbered(root / CPU / "cpufreq", "policy")
    folders = policies or [cpu / "cpufreq" for cpu in numbered(root / CPU, "cpu")]
    files = [folder / "scaling_governor" for folder in folders]
    return [file for file in files if text(file) is not None]


def turbo_file(root: Path) -> str | None:
    """The knob of turbo; None where there is none."""
    return next((path for path in (NO_TURBO, BOOST) if text(place(root, path)) in ("0", "1")), None)


def turbo_state(root: Path) -> bool | None:
    """Whether turbo is on; None where nothing says so."""
    path = turbo_file(root)
    return None if path is None else text(place(root, path)) == _turbo_value(path, on=True)


def write(settings: Sequence[Setting], root: Path) -> None:
    """Turn knobs, and read each back.

    Where this user may not, `sudo` is tried, if it asks for no password and the root is `/`.

    Raises:
        HostError: one could not be turned, or says something else afterwards; with the commands that turn them all.
    """
    problems = {each.path: _write(place(root, each.path), each.wanted) for each in settings}
    refused = [each for each in settings if problems[each.path] is not None]
    if refused and root == Path("/") and os.geteuid() != 0:
        problem = _write_with_sudo(refused)
        problems |= dict.fromkeys((each.path for each in refused), problem)
    wrong = [each for each in settings if text(place(root, each.path)) != each.wanted]
    if wrong:
        path = place(root, wrong[0].path)
        why = problems[wrong[0].path] or f"it still says {text(path)}: the firmware or another program keeps it"
        raise HostError(f"{path}: cannot be set to {wrong[0].wanted!r}: {why}. Cure: {commands(wrong, root)}")


def commands(settings: Sequence[Setting], root: Path = Path("/")) -> str:
    """What a person types to turn these knobs: one command a value."""
    by_value: dict[str, list[str]] = {}
    for each in settings:
        by_value.setdefault(each.wanted, []).append(str(place(root, each.path)))
    files = {value: " ".join(_shortest(paths, root)) for value, paths in by_value.items()}
    return " && ".join(f"echo {value} | sudo tee {paths}" for value, paths in files.items())


def describe(settings: Sequence[Setting]) -> str:
    """What is not as it was asked for, in the words of the sweep file."""
    found = []
    if governors := [each for each in settings if each.path.endswith("scaling_governor")]:
        others = ", ".join(sorted({repr(each.old) for each in governors}))
        where = f"on {len(governors)} group{'s' if len(governors) > 1 else ''} of CPUs"
        found.append(f"measurement.governor = {governors[0].wanted!r}, but it is {others} {where}")
    for each in settings:
        if each.path in (NO_TURBO, BOOST):
            on = each.wanted == _turbo_value(each.path, on=True)
            found.append(f"measurement.turbo = {str(on).lower()}, but turbo is {'off' if on else 'on'}")
    return "; ".join(found)


def _governors(wanted: str | None, root: Path) -> Iterator[Setting]:
    if wanted is None:
        return
    files = governor_files(root)
    if not files:
        raise HostError(
            f"measurement.governor = {wanted!r}, but {root / CPU / 'cpufreq'} has no governor: the kernel does not set "
            "the frequency of this machine (a virtual machine?). Cure: leave the key out"
        )
    for file in files:
        present = text(file) or ""
        if present == wanted:
            continue
        offered = (text(file.with_name("scaling_available_governors")) or wanted).split()
        if wanted not in offered:
            driver = text(file.with_name("scaling_driver"))
            raise HostError(
                f"measurement.governor = {wanted!r}, but this host"
                f"{f' ({driver})' if driver else ''} has only {', '.join(offered)}. Cure: name one of these"
            )
        yield Setting(path=f"/{file.relative_to(root)}", old=present, wanted=wanted)


def _turbo(wanted: bool | None, root: Path) -> Iterator[Setting]:
    if wanted is None:
        return
    path = turbo_file(root)
    if path is None:
        raise HostError(
            f"measurement.turbo = {str(wanted).lower()}, but this host has neither {place(root, NO_TURBO)} nor "
            f"{place(root, BOOST)}, so turbo cannot be read. Cure: leave the key out"
        )
    value, present = _turbo_value(path, on=wanted), text(place(root, path)) or ""
    if present != value:
        yield Setting(path=path, old=present, wanted=value)


def _turbo_value(path: str, *, on: bool) -> str:
    return str(int(on != (path == NO_TURBO)))


def _write(path: Path, value: str) -> str | None:
    """Write one knob; why it could not be written, or None."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{value}\n".encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _write_with_sudo(settings: Sequence[Setting]) -> str | None:
    """Write as root, one call a value; why not, or None.

    Without a password, or not at all: nobody may be there. `-k` leaves a password out of account that was typed a
    moment ago: it is forgotten by the time when the knobs are restored, and the guardian has no terminal.
    """
    if (sudo := shutil.which("sudo")) is None:
        return "permission denied, and there is no sudo"
    for value in dict.fromkeys(each.wanted for each in settings):
        paths = [each.path for each in settings if each.wanted == value]
        try:
            command = [sudo, "-n", "-k", "tee", "--", *paths]
            ended = subprocess.run(
                command, input=f"{value}\n".encode(), capture_output=True, timeout=_SUDO_S, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            return f"permission denied, and sudo failed: {error}"
        if ended.returncode:
            return f"permission denied, and sudo -n said: {ended.stderr.decode(errors='replace').strip()}"
    return None


def _shortest(paths: Sequence[str], root: Path) -> Sequence[str]:
    """Paths for a command: a shell pattern, where they are all the governors that there are."""
    everywhere = {str(file) for file in governor_files(root)}
    return (
        sorted({re.sub(r"/(policy|cpu)\d+/", r"/\1*/", each) for each in paths}) if everywhere == set(paths) else paths
    )
