"""`perf stat` as a meter: its output read strictly, and a process under it that behaves as without it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.perf_stat import DRAM_EVENT, PACKAGE_EVENT, PerfStat, PerfStatEnergy, find, parse
from jobs.watch import watch
from sipa.errors import MeterError
from tests.jobs.fake_perf import fake_perf
from tests.sipa.energy.powercap_tree import PowercapTree

DATA = Path(__file__).parents[1] / "data/perf_stat"


def golden(name: str, **options: str) -> PerfStatEnergy:
    path = DATA / f"{name}.csv"
    return parse(path.read_text(), path, **options)


# ---------------------------------------------------------------- output


def test_intervals_of_two_sockets_are_summed() -> None:
    found = golden("rapl-two-sockets-intervals")
    assert found.package_j == pytest.approx(595.11)
    assert (found.duration_s, found.intervals, found.dram_j) == (30.001688646, 30, None)
    assert found.reasons == ("power/energy-ram/ was not counted",)


def test_one_shot_has_no_duration() -> None:
    found = golden("rapl-two-sockets-one-shot")
    assert (found.package_j, found.duration_s, found.intervals) == (893.33, None, 1)


def test_what_perf_itself_prints() -> None:
    found = golden("perf-6.1-intervals")
    assert found.package_j == pytest.approx(0.27)
    assert found.dram_j == pytest.approx(0.27)
    assert (found.duration_s, found.intervals, found.reasons) == (1.101726407, 6, ())
    assert golden("perf-6.1-one-shot").package_j == 0.12


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("perf-6.1-not-supported", 3, "was not supported. Cure: sudo modprobe rapl"),
        ("perf-6.1-decimal-comma", 3, "decimal commas, which are also the separators. Cure: run perf with LC_ALL=C"),
        ("perf-6.1-decimal-comma-intervals", 3, "decimal commas"),
        ("perf-6.1-not-counted", 3, "is about none of power/energy-pkg/"),
    ],
)
def test_what_is_no_energy_is_refused_by_file_and_line(name: str, line: int, words: str) -> None:
    with pytest.raises(MeterError) as refused:
        golden(name)
    assert str(refused.value).startswith(f"{DATA / name}.csv:{line}: ")
    assert words in str(refused.value)


def test_not_counted_is_refused() -> None:
    with pytest.raises(MeterError, match=r"perf-6\.1-not-counted\.csv:4: cpu-clock was not counted"):
        golden("perf-6.1-not-counted", package_event="cpu-clock", unit="msec")


def interval(end: str, package: str = "1.00", dram: str | None = "0.10") -> str:
    lines = f"{end},{package},Joules,{PACKAGE_EVENT},1000,100.00,,\n"
    return lines if dram is None else f"{lines}{end},{dram},Joules,{DRAM_EVENT},1000,100.00,,\n"


FIRST, LAST = interval("    10.000000001"), interval("    12.000000001")
GOOD = f"# started on Fri Nov 20 12:00:00 2026\n\n{FIRST}{LAST}"


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        ("", "no line has power/energy-pkg/"),
        ("# started on\n\n", "no line has power/energy-pkg/"),
        (FIRST + "Error: something\n", ":3: is no line of perf stat -x,"),
        (GOOD[:-1], ":6: the last line is cut off"),
        (GOOD[:-4], ":6: the last line is cut off"),
        (FIRST + interval("12.000000001", dram=None), "not every interval has both"),
        (FIRST + FIRST, ":3: is not a later interval than line 1"),
        (LAST + FIRST, ":3: is not a later interval than line 1"),
        (FIRST.replace("0.10", ""), ":2: has no number"),
        (FIRST.replace("0.10", "1e3"), ":2: has no number"),
        (FIRST.replace("1.00,", "-587120.00,"), ":1: is negative: more than 200 W a package without a read"),
        (FIRST.replace(",Joules,", ",,"), ":1: counts without a unit, not Joules"),
        (FIRST.replace(",Joules,", ",msec,"), ":1: counts msec, not Joules"),
        (FIRST.replace("100.00,,", "49.50,,"), ":1: was counted for 49.50 % of the time and extrapolated"),
        (FIRST.replace("energy-pkg", "energy-cores"), ":1: is about none of power/energy-pkg/, power/energy-ram/"),
    ],
)
def test_damaged_output_is_refused(damaged: str, words: str) -> None:
    assert parse(GOOD, Path("perf.csv")).package_j == 2.0
    with pytest.raises(MeterError) as refused:
        parse(damaged, Path("perf.csv"))
    assert words in str(refused.value)


def test_a_counter_that_stands_still_is_not_zero() -> None:
    found = parse(interval("10.000000000", "5.00", "0.00"), Path("perf.csv"))
    assert (found.package_j, found.dram_j) == (5.0, None)
    assert found.reasons == ("power/energy-ram/ stood still for 10 s: it does not count",)
    with pytest.raises(MeterError, match="energy-pkg/ stood still for 10 s"):
        parse(interval("10.000000000", "0.00"), Path("perf.csv"))
    assert parse(interval(" 0.001000000", "0.00", "0.00"), Path("perf.csv")).package_j == 0


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), min_size=1, max_size=50))
def test_the_sum_of_the_intervals_is_the_whole(centijoules: list[tuple[int, int]]) -> None:
    lines = [
        interval(f"{10 * n:6d}.000000001", f"{package / 100:.2f}", f"{dram / 100:.2f}")
        for n, (package, dram) in enumerate([(1, 1), *centijoules], start=1)
    ]
    found = parse("".join(lines), Path("perf.csv"))
    assert found.package_j == pytest.approx((1 + sum(package for package, _ in centijoules)) / 100, rel=1e-12)
    assert found.dram_j == pytest.approx((1 + sum(dram for _, dram in centijoules)) / 100, rel=1e-12)


@given(st.integers(0, len(GOOD) - 1))
def test_output_cut_anywhere_is_refused_or_is_whole_intervals(length: int) -> None:
    try:
        found = parse(GOOD[:length], Path("perf.csv"))
    except MeterError:
        return
    assert found.intervals == 1
    assert found.package_j == 1.0


# ---------------------------------------------------------------- which perf


def test_a_fake_tree_counts_what_its_counters_advance_by(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    tree.wraps_after("pkg1", 5.0)
    fake_perf(tree.root)
    perf = find(tree.root)
    output = tmp_path / "perf.csv"
    counter = tree.path("pkg0")
    jump = f"n=$(cat {counter}); echo $((n + 12500000)) > {counter}"
    ended = subprocess.run(perf.wrap(["sh", "-c", f"{jump}; exit 6"], output), check=False)
    assert ended.returncode == 6
    assert perf.read(output).package_j == pytest.approx(12.5, abs=0.01)
    assert not Path(f"{output}.status").exists()


def test_without_dram_it_is_not_asked_for(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    fake_perf(tree.root, dram=False)
    perf = find(tree.root)
    assert perf.dram_event is None
    assert DRAM_EVENT not in " ".join(perf.wrap(["true"], tmp_path / "perf.csv"))


def test_without_the_pmu_or_without_perf_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"has no energy-pkg.* On bare metal: sudo modprobe rapl"):
        find(tmp_path)
    fake_perf(tmp_path).unlink()
    with pytest.raises(MeterError, match=r"there is no perf below .* Cure: sudo apt install"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("Access to performance monitoring and observability operations is limited.", "perf_event_paranoid=0"),
        ("                     \\___ Cannot find PMU `power'. Missing kernel support?", "modprobe rapl"),
        ("WARNING: perf not found for kernel 5.15.0-25", "linux-tools"),
        ("something else", "something else"),
        ("", "ended with 255 and said nothing"),
    ],
)
def test_a_perf_that_refuses_is_found_out_at_once(tmp_path: Path, says: str, words: str) -> None:
    program = fake_perf(tmp_path)
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\nexit 255\n")
    with pytest.raises(MeterError, match=words):
        find(tmp_path)


# ---------------------------------------------------------------- the process under it


@pytest.fixture
def perf() -> PerfStat:
    """The machine's real perf, counting a clock of the whole machine in place of energy."""
    program = shutil.which("perf")
    if program is None:
        pytest.skip("there is no perf on the PATH")
    found = PerfStat(program=Path(program), package_event="cpu-clock", dram_event=None, unit="msec", interval_ms=100)
    tried = subprocess.run([program, "stat", "-a", "-e", "cpu-clock", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("perf may not count the whole machine: needs root or kernel.perf_event_paranoid <= 0")
    return found


@pytest.mark.perf
def test_real_perf_counts_the_whole_machine(perf: PerfStat, tmp_path: Path) -> None:
    output = tmp_path / "perf.csv"
    subprocess.run(perf.wrap(["sleep", "0.5"], output), check=True)
    found = perf.read(output)
    assert found.duration_s is not None
    assert found.duration_s >= 0.5
    assert found.intervals >= 5
    # cpu-clock of the whole machine is time times CPUs.
    assert found.package_j == pytest.approx(found.duration_s * 1000 * (os.cpu_count() or 1), rel=0.05)


@pytest.mark.perf
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", -signal.SIGKILL),
        ("kill -TERM $$", -signal.SIGTERM),
        ("sleep 0.3; kill -SEGV $$", -signal.SIGSEGV),
        ("exec no-such-program", 127),
    ],
)
def test_the_end_of_the_command_passes_through_real_perf(
    perf: PerfStat, tmp_path: Path, script: str, code: int
) -> None:
    """By itself perf 6.1 with -I returns 0 whatever happens, and without it 0 for a signal."""
    output = tmp_path / "perf.csv"
    ended = subprocess.run(perf.wrap(["sh", "-c", script], output), check=False, stderr=subprocess.PIPE)
    assert ended.returncode == code
    assert perf.read(output).intervals >= 1


@pytest.mark.perf
@pytest.mark.parametrize("before", [{}, {"LC_ALL": ""}, {"LC_ALL": "C.UTF-8", "OTHER": "x"}])
def test_streams_descriptors_and_environment_pass_through_real_perf(
    perf: PerfStat, tmp_path: Path, before: Mapping[str, str]
) -> None:
    reader, writer = os.pipe()
    environment = {**{name: value for name, value in os.environ.items() if name != "LC_ALL"}, **before}
    code = (
        "import os, sys; os.write(int(sys.argv[2]), sys.stdin.buffer.read()); "
        "print(os.environ.get('LC_ALL'), 'SIPA_LC_ALL' in os.environ, sys.argv[1], os.getsid(0))"
    )
    process = subprocess.Popen(
        [*perf.wrap([sys.executable, "-c", code, "two words 'and' $quotes"], tmp_path / "p"), str(writer)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(writer,),
        env=environment,
        start_new_session=True,
    )
    os.close(writer)
    said, _ = process.communicate(b"lifeline")
    assert process.returncode == 0
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"lifeline"
    expected = before.get("LC_ALL") or None
    assert said.decode().split(" ", 2)[:2] == [str(expected), "False"]
    assert f"two words 'and' $quotes {process.pid}" in said.decode()


_NAMESPACE = """\
set -e
devices=/sys/bus/event_source/devices
aside=$(mktemp -d)
for each in $devices/*; do ln -s "$(readlink -f "$each")" "$aside/$(basename "$each")"; done
mkdir -p "$aside/power/events" "$aside/power/format"
cd "$aside/power"
echo {type} >type; echo 0 >cpumask; echo config:0-7 >format/event
for each in pkg ram; do
  echo event=0x00 >events/energy-$each
  echo Joules >events/energy-$each.unit
  echo 2.3283064365386962890625e-10 >events/energy-$each.scale
done
mount -t tmpfs none $devices
cp -a "$aside/." $devices
rm -r "$aside"
exec {python} -c "
from pathlib import Path
import subprocess
from jobs.perf_stat import find
perf, output = find(), Path({output!r})
subprocess.run(perf.wrap(['sleep', '1'], output), check=True)
print(perf.read(output).package_j, perf.read(output).dram_j, perf.read(output).duration_s)
"
"""


def in_namespace(pmu_type: int, output: Path) -> "subprocess.CompletedProcess[str]":
    """Use perf where /sys shows an energy PMU of that type: 1 is the software PMU, whose event 0 is cpu-clock."""
    script = _NAMESPACE.format(type=pmu_type, python=sys.executable, output=str(output))
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.root
@pytest.mark.perf
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for a mount namespace")
def test_real_perf_with_an_energy_pmu(perf: PerfStat, tmp_path: Path) -> None:
    """A clock counts nanoseconds of CPU 0, each worth 2^-32 J."""
    ended = in_namespace(1, tmp_path / "perf.csv")
    assert ended.returncode == 0, ended.stderr
    package_j, dram_j, duration_s = map(float, ended.stdout.split())
    assert package_j == pytest.approx(duration_s * 1e9 / 2**32, abs=0.015)
    assert dram_j == pytest.approx(package_j, abs=0.011)


@pytest.mark.root
@pytest.mark.perf
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for a mount namespace")
def test_a_pmu_that_cannot_be_opened_is_found_out_at_once(perf: PerfStat, tmp_path: Path) -> None:
    ended = in_namespace(99, tmp_path / "perf.csv")
    assert "MeterError" in ended.stderr
    assert "power/energy-pkg/ was not supported. Cure: sudo modprobe rapl" in ended.stderr


@pytest.mark.perf
def test_a_killed_group_leaves_nothing_behind(perf: PerfStat, tmp_path: Path) -> None:
    output = tmp_path / "perf.csv"
    process = subprocess.Popen(
        perf.wrap(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 600 & wait"], output), start_new_session=True
    )
    try:
        until((tmp_path / "pid").exists)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
        until(lambda: not members(process.pid))
    finally:
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.perf
@pytest.mark.parametrize("deadline_s", [0.7, 60.0])
def test_the_watch_over_trials_works_through_real_perf(perf: PerfStat, tmp_path: Path, deadline_s: float) -> None:
    """As trials run: messages on an inherited descriptor, a lifeline on standard input, killed past the deadline."""
    lock = os.open(tmp_path, os.O_RDONLY)
    code = (
        "import json, os, sys, time\n"
        f"assert os.path.sameopenfile({lock}, os.open({str(tmp_path)!r}, os.O_RDONLY))\n"
        "with open(int(sys.argv[-1]), 'w') as messages:\n"
        "    print(json.dumps({'phase': 'load', 'fraction': None, 'detail': ''}), file=messages)\n"
        f"time.sleep({0.1 if deadline_s > 1 else 600})\n"
        "sys.exit(6)\n"
    )
    said: list[str] = []
    output = tmp_path / "perf.csv"
    try:
        ended = watch(
            perf.wrap([sys.executable, "-c", code], output),
            log=tmp_path / "log",
            environment=os.environ,
            inherited=lock,
            deadline_s=deadline_s,
            abort=lambda: False,
            report=lambda phase, _fraction, _detail: said.append(phase),
        )
    finally:
        os.close(lock)
    assert said == ["load"], (tmp_path / "log").read_text()
    if deadline_s > 1:
        assert (ended.exit_code, ended.timed_out) == (6, False)
        assert perf.read(output).intervals >= 1
    else:
        assert (ended.exit_code, ended.timed_out) == (-signal.SIGKILL, True)
        assert Path(f"{output}.status").exists() is False


def members(group: int) -> list[int]:
    """Processes of a group that are not yet dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
