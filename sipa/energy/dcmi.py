"""Power and inlet temperature of the whole node, from its own management controller (BMC), through DCMI.

It is the only second sensor of such a node, and good for one thing: the power that RAPL shows must lie below it.
Whole watts, of unknown averaging, seconds old: never for accuracy. What it holds and RAPL does not (power
supplies, fans, disks, network, GPU) is why RAPL is not the energy of the server.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sipa.energy.powercap import ENERGY_GROUP
from sipa.errors import MeterError

TIMEOUT_S = 10.0
"""BMCs hang now and then; one that answers needs well below a second."""

INSTALL_CURE = "sudo apt install ipmitool"
"""The command that installs a program that asks the BMC."""

MODULE_CURE = "sudo modprobe ipmi_devintf && sudo modprobe ipmi_si"
"""The commands that make `/dev/ipmi0` appear."""

UDEV_RULE = f'KERNEL=="ipmi*", SUBSYSTEM=="ipmi", GROUP="{ENERGY_GROUP}", MODE="0660"'
"""The udev rule that gives the BMC to a group; who is in it may also switch the machine off."""

GROUP_CURE = (
    f"run as root, or: sudo groupadd -f {ENERGY_GROUP} && sudo usermod -aG {ENERGY_GROUP} $USER && "
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/71-sipa-ipmi.rules && sudo udevadm control --reload && "
    f"sudo udevadm trigger --subsystem-match=ipmi; then log in again (the group may then also switch the machine off)"
)
"""What gives a user the right to ask the BMC."""

_NAMES = ("ipmitool", "ipmi-dcmi")
_FOLDERS = ("usr/bin", "usr/sbin", "bin")
_DEVICES = ("dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0")
_NO_READING_W = 0xFFFF
_REAP_S = 0.5
_POWER_SUPPLY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DcmiReading:
    """What the BMC says now.

    Attributes:
        power_w: `Current Power` of the whole node, in whole watts; None with a reason. DCMI calls it instantaneous
            and does not say over what it is averaged, nor when.
        inlet_c: temperature of the air that goes in, the hottest of its sensors; None where there is none.
        period_s: the time to which the BMC's own minimum, maximum and mean belong (DCMI 1.5, 6.6.1); not the
            averaging of `power_w`, and not to be relied on (nodes that say 1 s show the extremes of months).
        reason: why a number is None; None if both are there.
        timed_out: it did not answer at all.
    """

    power_w: int | None
    inlet_c: float | None
    period_s: float | None
    reason: str | None
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DcmiSensor:
    """A BMC that can be asked.

    Attributes:
        program: `ipmitool` or FreeIPMI's `ipmi-dcmi`; only the first knows the inlet's temperature.
        timeout_s: for everything that one reading asks.
    """

    program: Path
    timeout_s: float = TIMEOUT_S

    def read(self) -> DcmiReading:
        """Ask now; takes some tenths of a second and CPU time, so never inside a window. Never raises."""
        deadline = time.monotonic() + self.timeout_s
        answer = _ask(self.program, _POWER[self.program.name], deadline)
        if answer is None:
            return _unknown(f"{self.program}: the BMC did not answer within {self.timeout_s:g} s", timed_out=True)
        reading = parse_power(answer.text) if answer.code == 0 else _unknown(_complaint(self.program, answer))
        inlet_c, reason = self._inlet(deadline)
        reasons = [each for each in (reading.reason, reason) if each]
        return replace(reading, inlet_c=inlet_c, reason="; ".join(reasons) or None)

    def _inlet(self, deadline: float) -> tuple[float | None, str | None]:
        """DCMI's own inlet sensors, or else whatever the BMC's list of sensors calls inlet."""
        if self.program.name != "ipmitool":
            return None, f"inlet temperature: {self.program.name} does not show it. Cure: {INSTALL_CURE}"
        why = "the BMC has no such sensor"
        for question, parse in (
            (("dcmi", "get_temp_reading"), parse_inlet),
            (("sdr", "type", "temperature"), parse_sensors),
        ):
            answer = _ask(self.program, question, deadline)
            if answer is None:
                return None, f"inlet temperature: the BMC did not answer within {self.timeout_s:g} s"
            if (inlet_c := parse(answer.text)) is not None:
                return inlet_c, None
            if answer.code != 0:
                why = _complaint(self.program, answer)
        return None, f"inlet temperature: {why}"


def find(root: Path = Path("/")) -> DcmiSensor:
    """The BMC of the machine below `root`, asked once to see that it may be.

    Args:
        root: where `usr/bin` and `dev` are; `/` uses the PATH.

    Raises:
        MeterError: there is no program, no device, or no permission: with the cure.
    """
    sensor = DcmiSensor(program=_program(root))
    answer = _ask(sensor.program, _POWER[sensor.program.name], time.monotonic() + sensor.timeout_s)
    # What hangs or refuses now may answer later; what cannot be opened will not.
    if answer is not None and answer.code != 0 and (cure := _cure(answer.text, root)):
        raise MeterError(f"{_complaint(sensor.program, answer)}. Cure: {cure}")
    return sensor


def parse_power(text: str) -> DcmiReading:
    """The answer to `ipmitool dcmi power reading` or `ipmi-dcmi --get-system-power-statistics`.

    Sources: ipmitool 1.8.18 and 1.8.19, lib/ipmi_dcmi.c; FreeIPMI 1.6, ipmi-dcmi/ipmi-dcmi.c.
    """
    for dialect in (_IPMITOOL, _FREEIPMI):
        found = [pattern.findall(text) for pattern in (dialect.power, dialect.period, dialect.state)]
        if all(len(each) == 1 for each in found):
            (power,), (period,), (state,) = found
            return _judged(int(power), int(period) * dialect.period_unit_s, state, active=dialect.active)
    return _unknown(f"the BMC's answer is not understood: {_first_line(text)!r}")


def parse_inlet(text: str) -> float | None:
    """The hottest inlet in the answer to `ipmitool dcmi get_temp_reading`; 0 °C is what BMCs show for no sensor."""
    # Entity 40h of DCMI is 37h of IPMI 2.0 (table 43-13): air inlet.
    found = [float(celsius) for celsius in re.findall(r"^Inlet\b.*?([+-]\d+) C[ \t]*$", text, re.M)]
    return max((celsius for celsius in found if celsius != 0), default=None)


def parse_sensors(text: str) -> float | None:
    """The hottest inlet or ambient sensor in the answer to `ipmitool sdr type temperature`.

    A power supply's own inlet (entity 10, IPMI 2.0 table 43-13) is warm air from inside and does not count.
    """
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    found: dict[str, list[float]] = {"inlet": [], "ambient": []}
    for row in rows:
        if len(row) != 5 or row[2] != "ok" or row[3].split(".")[0] == str(_POWER_SUPPLY):
            continue
        value = re.fullmatch(r"(-?\d+(?:\.\d+)?) degrees C", row[4])
        for word, values in found.items():
            if value and word in row[0].lower():
                values.append(float(value[1]))
                break
    return max(found["inlet"] or found["ambient"], default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """How one program words its answer."""

    power: re.Pattern[str]
    period: re.Pattern[str]
    period_unit_s: float
    state: re.Pattern[str]
    active: str


_IPMITOOL = _Dialect(
    power=re.compile(r"Instantaneous power reading *: +(\d+) Watts"),
    # In 1.8.19 it stands on the line of the time stamp, whose newline got lost.
    period=re.compile(r"Sampling period *: +(\d+) Seconds"),
    period_unit_s=1.0,
    state=re.compile(r"Power reading state is *: +(\w+)"),
    active="activated",
)
_FREEIPMI = _Dialect(
    power=re.compile(r"^Current Power *: +(\d+) [Ww]atts[ \t]*$", re.M),
    period=re.compile(r"^Statistics reporting time period *: +(\d+) milliseconds[ \t]*$", re.M),
    period_unit_s=1e-3,
    state=re.compile(r"^Power Measurement *: +(.+?)[ \t]*$", re.M),
    active="Active",
)
_POWER = {"ipmitool": ("dcmi", "power", "reading"), "ipmi-dcmi": ("--get-system-power-statistics",)}


def _judged(power_w: int, period_s: float, state: str, *, active: str) -> DcmiReading:
    reason = None
    if state != active:
        reason = f"the BMC's power measurement is not active ({state})"
    elif not 0 < power_w < _NO_READING_W:
        reason = f"the BMC shows {power_w} W, which is no reading"
    return DcmiReading(
        power_w=None if reason else power_w, inlet_c=None, period_s=period_s if period_s > 0 else None, reason=reason
    )


def _unknown(reason: str, *, timed_out: bool = False) -> DcmiReading:
    return DcmiReading(power_w=None, inlet_c=None, period_s=None, reason=reason, timed_out=timed_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a program said, on standard output and error together."""

    code: int
    text: str


def _ask(program: Path, question: Sequence[str], deadline: float) -> _Answer | None:
    """Run the program; None if it does not end in time."""
    try:
        process = subprocess.Popen(
            [str(program), *question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        return _Answer(code=127, text=f"cannot be started: {error.strerror}")
    try:
        text, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _give_up(process)
        return None
    return _Answer(code=process.returncode, text=text.decode(errors="replace"))


def _give_up(process: subprocess.Popen[bytes]) -> None:
    """Kill it, and hardly wait: what hangs in the driver, or runs as root through sudo, does not die of it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_S)


def _program(root: Path) -> Path:
    everywhere = root == Path("/")
    on_path = [os.environ.get("PATH", os.defpath)] if everywhere else []
    # sbin is often missing from a user's PATH.
    folders = [*on_path, *(str(root / folder) for folder in _FOLDERS)]
    for name in _NAMES:
        if found := shutil.which(name, path=os.pathsep.join(folders)):
            return Path(found)
    where = "on the PATH" if everywhere else f"below {root}"
    raise MeterError(f"the BMC cannot be asked: no {' and no '.join(_NAMES)} {where}. Cure: {INSTALL_CURE}")


def _cure(text: str, root: Path) -> str | None:
    """What helps where the BMC cannot be reached at all; None where asking again may."""
    if "ermission denied" in text:
        return GROUP_CURE
    if re.search(r"Could not open device|could not find inband device|device not found", text):
        device = any((root / name).exists() for name in _DEVICES)
        return GROUP_CURE if device else f"{MODULE_CURE} (a virtual machine has no BMC)"
    return None


def _complaint(program: Path, answer: _Answer) -> str:
    return f"{program}: {_first_line(answer.text) or f'ended with {answer.code} and said nothing'}"


def _first_line(text: str) -> str:
    """The first line that says something of this machine (ipmitool 1.8.19 misses a table of manufacturers)."""
    lines = (line.strip() for line in text.splitlines())
    return next((line[:200] for line in lines if line and "IANA PEN" not in line), "")
