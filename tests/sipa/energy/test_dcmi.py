"""The BMC's answers as they are really worded, and what becomes of those that are no reading."""

import os
import shutil
import time
from pathlib import Path

import pytest

from sipa.energy.dcmi import DcmiReading, DcmiSensor, find, parse_inlet, parse_power, parse_sensors
from sipa.errors import MeterError
from tests.sipa.energy.process import in_child

DATA = Path(__file__).parents[2] / "data/dcmi"


def text(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def program(root: Path, script: str, *, name: str = "ipmitool", folder: str = "usr/bin") -> Path:
    """A program below `root` that answers as the script says."""
    path = root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def answers(*, power: str, inlet: str = "ipmitool-temperatures", sensors: str = "sdr-dell-r730") -> str:
    """The script of an ipmitool that answers each question with a file."""
    return (
        f'case "$*" in\n"dcmi power reading") cat {DATA}/{power}.txt;;\n'
        f'"dcmi get_temp_reading") cat {DATA}/{inlet}.txt;;\n'
        f'"sdr type temperature") cat {DATA}/{sensors}.txt;;\n*) exit 9;;\nesac'
    )


@pytest.mark.parametrize(
    ("name", "power_w", "period_s"),
    [
        ("ipmitool-1.8.18", 215, 1131466.0),
        ("ipmitool-1.8.19", 186, 898033.0),
        ("freeipmi-chameleon", 226, 1.0),
        ("freeipmi-long-period", 164, 1473439.0),
    ],
)
def test_the_current_power_of_every_wording(name: str, power_w: int, period_s: float) -> None:
    assert parse_power(text(name)) == DcmiReading(power_w=power_w, inlet_c=None, period_s=period_s, reason=None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ipmitool-zero", "not active (deactivated)"),
        ("ipmitool-deactivated", "not active (deactivated)"),
        ("freeipmi-not-available", "not active (Not Available)"),
        ("ipmitool-unsupported", "not understood: 'A valid DCMI command was not returned! (80)'"),
    ],
)
def test_what_is_no_reading_has_no_power_but_a_reason(name: str, words: str) -> None:
    reading = parse_power(text(name))
    assert reading.power_w is None
    assert reading.reason is not None
    assert words in reading.reason


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  215 Watts", "    0 Watts", "0 W, which is no reading"),
        ("  215 Watts", "65535 Watts", "65535 W, which is no reading"),
        ("  215 Watts", "  215 Watt", "not understood"),
        ("  215 Watts", "2,15 Watts", "not understood"),
        ("activated", "", "not understood"),
        ("01131466 Seconds", "5_sec", "not understood"),
    ],
)
def test_a_changed_answer_is_not_guessed_at(old: str, new: str, words: str) -> None:
    changed = text("ipmitool-1.8.18").replace(old, new)
    reading = parse_power(changed)
    assert reading.power_w is None
    assert words in (reading.reason or "")
    assert parse_power("").power_w is None
    assert parse_power(text("ipmitool-1.8.18") * 2).power_w is None


def test_the_hottest_inlet() -> None:
    assert parse_inlet(text("ipmitool-temperatures")) == 23
    assert parse_inlet(text("ipmitool-temperatures-no-inlet")) is None
    assert parse_inlet(text("ipmitool-temperatures").replace("+22", "+0").replace("+23", "+0")) is None
    assert parse_inlet("Inlet air temperature(40h)\t\t1\t\t-3 C") == -3
    assert parse_inlet(text("ipmitool-no-device")) is None


@pytest.mark.parametrize(
    ("name", "celsius"),
    [("sdr-dell-r730", 23), ("sdr-supermicro", 29), ("sdr-dell-r510", 29), ("sdr-power-supplies", None)],
)
def test_an_inlet_among_the_sensors(name: str, celsius: float | None) -> None:
    assert parse_sensors(text(name)) == celsius


def test_a_reading(tmp_path: Path) -> None:
    program(tmp_path, answers(power="ipmitool-1.8.18"))
    assert find(tmp_path).read() == DcmiReading(power_w=215, inlet_c=23, period_s=1131466, reason=None)


def test_the_list_of_sensors_is_asked_where_dcmi_knows_no_inlet(tmp_path: Path) -> None:
    script = answers(power="ipmitool-1.8.18", inlet="ipmitool-temperatures-no-inlet", sensors="sdr-supermicro")
    program(tmp_path, script)
    assert find(tmp_path).read().inlet_c == 29


def test_power_without_an_inlet(tmp_path: Path) -> None:
    script = answers(power="ipmitool-1.8.19", inlet="ipmitool-unsupported", sensors="sdr-power-supplies")
    program(tmp_path, script)
    reading = find(tmp_path).read()
    assert (reading.power_w, reading.inlet_c) == (186, None)
    assert reading.reason == "inlet temperature: the BMC has no such sensor"


def test_freeipmi_shows_power_only(tmp_path: Path) -> None:
    program(tmp_path, f"cat {DATA}/freeipmi-chameleon.txt", name="ipmi-dcmi", folder="usr/sbin")
    reading = find(tmp_path).read()
    assert (reading.power_w, reading.inlet_c, reading.period_s) == (226, None, 1)
    assert "apt install ipmitool" in (reading.reason or "")


def test_without_a_program_the_cure_installs_one(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"no ipmitool and no ipmi-dcmi below .* Cure: sudo apt install ipmitool"):
        find(tmp_path)


@pytest.mark.parametrize(("name", "answer"), [("ipmitool", "ipmitool-no-device"), ("ipmi-dcmi", "freeipmi-no-device")])
def test_without_a_device_the_cure_loads_the_driver(tmp_path: Path, name: str, answer: str) -> None:
    program(tmp_path, f"cat {DATA}/{answer}.txt >&2; exit 1", name=name)
    with pytest.raises(MeterError, match=r"device.*\. Cure: sudo modprobe ipmi_devintf && sudo modprobe ipmi_si") as no:
        find(tmp_path)
    assert "IANA" not in str(no.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ipmi-dcmi", f"cat {DATA}/freeipmi-no-permission.txt"),
        ("ipmitool", "echo Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: Permission denied"),
        ("ipmitool", f"cat {DATA}/ipmitool-no-device.txt"),
    ],
)
def test_without_permission_the_cure_is_a_group(tmp_path: Path, name: str, says: str) -> None:
    """ipmitool tries three names and reports on the last, which is missing also where the first is forbidden."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/ipmi0").touch()
    program(tmp_path, f"{says} >&2; exit 1", name=name)
    with pytest.raises(MeterError, match=r"GROUP=\"sipa-energy\", MODE=\"0660\""):
        find(tmp_path)


def test_a_bmc_that_knows_no_dcmi_is_there_but_has_no_power(tmp_path: Path) -> None:
    program(tmp_path, f"cat {DATA}/freeipmi-unsupported.txt >&2; exit 1", name="ipmi-dcmi")
    reading = find(tmp_path).read()
    assert reading.power_w is None
    assert "command invalid or unsupported" in (reading.reason or "")


def test_a_bmc_that_hangs_is_given_up(tmp_path: Path) -> None:
    path = program(tmp_path, "echo $$ >> pids; sleep 600 & echo $! >> pids; wait")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        reading = DcmiSensor(program=path, timeout_s=0.5).read()
    finally:
        os.chdir(before)
    assert reading.power_w is None
    assert "did not answer within 0.5 s" in (reading.reason or "")
    left = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(left) == 2
    deadline = time.monotonic() + 10
    while alive(left) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(left)


def alive(pids: list[int]) -> list[int]:
    """Those that run; one that only waits to be reaped does not."""
    stats = [Path(f"/proc/{pid}/stat") for pid in pids]
    return [int(stat.parent.name) for stat in stats if stat.exists() and ") Z" not in stat.read_text()]


def test_a_program_that_vanishes_is_a_reason(tmp_path: Path) -> None:
    path = program(tmp_path, answers(power="ipmitool-1.8.18"))
    sensor = find(tmp_path)
    path.unlink()
    reading = sensor.read()
    assert reading.power_w is None
    assert "No such file" in (reading.reason or "")


def test_a_real_program_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, answers(power="ipmitool-1.8.18"))
    monkeypatch.setenv("PATH", f"{tmp_path}/usr/bin:{os.environ['PATH']}")
    assert find(Path("/")).program == tmp_path / "usr/bin/ipmitool"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_program_that_runs_as_root_and_hangs_is_given_up(tmp_path: Path) -> None:
    """As an `ipmitool` that calls sudo: this user cannot kill it, and a trial must not wait for it."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    if (found := shutil.which("setpriv")) is None:
        pytest.skip("needs setpriv (util-linux)")
    become_root = Path(shutil.copy(found, tmp_path / "become-root"))
    become_root.chmod(0o4755)
    sensor = DcmiSensor(program=program(tmp_path, f"exec {become_root} --reuid 0 sleep 6"), timeout_s=0.3)

    def asked() -> object:
        os.setgid(65534)
        os.setuid(65534)
        began = time.monotonic()
        return sensor.read().reason, time.monotonic() - began

    answer = in_child(asked)
    assert isinstance(answer, list)
    reason, took_s = answer
    assert "did not answer within 0.3 s" in reason
    assert took_s < 3
