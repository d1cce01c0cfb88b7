"""The perf source through the real system call: clocks of the CPUs stand for watts, so the truth is known."""

import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest

from sipa.energy import DomainKind, EnergyMeter, Quality
from sipa.energy.perf_event import TRUSTED_UJ, PerfSource, perf_event_open
from sipa.errors import MeterError
from tests.sipa.energy.perf_tree import CPU_CLOCK, SERVER, SOFTWARE, PerfTree, clocks
from tests.sipa.energy.powercap_tree import Layout, PowercapTree
from tests.sipa.energy.process import descriptors, guards, in_child

pytestmark = [pytest.mark.perf, pytest.mark.usefixtures("perf")]


def test_a_window_has_the_energy_of_one_watt_a_socket(tmp_path: Path) -> None:
    clocks(tmp_path, sockets=2)
    with EnergyMeter("perf", root=tmp_path) as meter:
        token = meter.begin()
        sum(range(10**6))
        window = meter.end(token)
    assert window.edges is not None
    begin, end = window.edges
    inside_s, outside_s = (end.begin_ns - begin.end_ns) / 1e9, (end.end_ns - begin.begin_ns) / 1e9
    assert (window.source, window.quality) == ("perf", Quality.MEASURED)
    for each in window.by_domain.values():
        # The clock of a CPU is not disciplined by NTP, and the time of the meter is.
        assert inside_s * 0.999 - 1e-5 <= (each.joules or 0) <= outside_s * 1.001 + 1e-5
    assert window.total_uncertainty_j is not None


def test_ids_and_limits_are_powercaps(tmp_path: Path) -> None:
    PowercapTree(tmp_path)
    clocks(tmp_path, sockets=2)
    source = PerfSource(tmp_path)
    powercap = EnergyMeter("powercap", root=tmp_path)
    with powercap:
        expected = {domain.id: domain.max_power_w for domain in powercap.domains}
    found = {domain.id: domain.max_power_w for domain in source.domains}
    source.close()
    assert found == {name: expected[name] for name in found}
    assert set(found) <= set(expected)
    for domain in source.domains:
        assert (domain.count_nj, domain.trusted_uj) == (1000, TRUSTED_UJ)
        assert domain.max_gap_ns < domain.turn * domain.count_nj / domain.max_power_w


def test_dies_have_powercaps_names_too(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    PowercapTree(tmp_path, layout=Layout.CASCADE_LAKE_AP)
    one, two, *_ = sorted(os.sched_getaffinity(0))
    events = dict.fromkeys(SERVER, "event=0x00") | {"energy-psys": "event=0x00"}
    PerfTree(tmp_path, places={one: (0, 0), two: (0, 1)}, events=events, pmu_type="1", scale="1e-9")
    source = PerfSource(tmp_path)
    assert [domain.id for domain in source.domains] == ["pkg0die0", "pkg0die1", "dram0die0", "dram0die1", "psys"]
    assert source.domains[-1].package is None
    source.close()


def test_whole_microjoules_are_rounded_down(tmp_path: Path) -> None:
    clocks(tmp_path)
    source = PerfSource(tmp_path)
    [counter, _] = source._counters.values()
    assert counter.microjoules((1999).to_bytes(8, "little")) == 1
    assert counter.microjoules((2**64 - 1).to_bytes(8, "little")) == counter.domain.range_uj
    source.close()


def test_close_is_idempotent_and_opening_again_begins_a_new_count(tmp_path: Path) -> None:
    clocks(tmp_path)
    before = descriptors()
    source = PerfSource(tmp_path)
    source.open()
    first = source.read()
    assert not any(map(os.get_inheritable, descriptors() - before))
    source.close()
    source.close()
    assert descriptors() == before
    assert set(source.read().failures) == {"pkg0", "dram0"}
    source.open()
    again = source.read()
    source.close()
    assert (first.opening, again.opening) == (0, 1)
    assert set(first.values_uj) == set(again.values_uj) == {"pkg0", "dram0"}


def test_a_fork_begins_a_new_count_in_the_child_and_disturbs_none_in_the_parent(tmp_path: Path) -> None:
    clocks(tmp_path)
    with EnergyMeter("perf", root=tmp_path) as meter:
        before = meter.begin("across")

        def work() -> dict[str, object]:
            idle = len(guards())
            with meter.window() as window:
                sum(range(10**5))
            across = meter.end(before)
            busy = len(guards())
            meter.close()
            return {
                "guards": [idle, busy],
                "own": window.by_domain["pkg0"].joules,
                "across": across.by_domain["pkg0"].reason,
            }

        found = in_child(work)
        assert isinstance(found, dict)
        assert found["guards"] == [0, 1]
        assert isinstance(found["own"], float)
        assert "opened anew" in str(found["across"])
        assert meter.end(before).by_domain["pkg0"].joules


def test_an_answer_that_is_too_short_is_a_failure_of_that_domain(tmp_path: Path) -> None:
    """A perf descriptor whose CPU has gone answers nothing, as an empty file does."""
    clocks(tmp_path)
    source = PerfSource(tmp_path)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, source._files["dram0"])
    os.close(empty)
    reading = source.read()
    source.close()
    assert set(reading.values_uj) == {"pkg0"}
    assert "events/energy-ram (CPU " in reading.failures["dram0"]
    assert "gave 0 bytes instead of 8" in reading.failures["dram0"]
    assert "open the meter again" in reading.failures["dram0"]


def test_an_event_that_the_kernel_does_not_know(tmp_path: Path) -> None:
    tree = clocks(tmp_path)
    tree.write("events/energy-ram", "event=0xff")
    before = descriptors()
    with pytest.raises(MeterError, match=r"events/energy-ram \(CPU \d+\): the PMU does not know this event"):
        PerfSource(tmp_path)
    assert descriptors() == before


def test_an_event_that_no_total_needs_is_left_out(tmp_path: Path) -> None:
    events = dict.fromkeys(SERVER, "event=0x00") | {"energy-gpu": "event=0xff"}
    cpu = min(os.sched_getaffinity(0))
    PerfTree(tmp_path, places={cpu: (0, 0)}, events=events, pmu_type="1", scale="1e-9")
    source = PerfSource(tmp_path)
    assert [domain.kind for domain in source.domains] == [DomainKind.PACKAGE, DomainKind.DRAM]
    assert "energy-gpu" in source.ignored[0]
    source.close()


def test_a_pmu_that_this_kernel_has_not(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"the PMU does not know this event .*modprobe rapl, or use powercap"):
        PerfSource(PerfTree(tmp_path, places={0: (0, 0)}).root)


def test_a_cpu_that_is_not_there(tmp_path: Path) -> None:
    events = dict.fromkeys(SERVER, "event=0x00")
    tree = PerfTree(tmp_path, places={4000: (0, 0)}, events=events, pmu_type="1", scale="1e-9")
    with pytest.raises(MeterError, match=r"energy-pkg \(CPU 4000\).*(its CPU is offline|does not know)"):
        PerfSource(tree.root)


def test_too_many_open_files_say_how_many_are_allowed(tmp_path: Path) -> None:
    clocks(tmp_path)

    def attempt() -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        last = -1
        with suppress(OSError):
            while True:
                last = os.open(os.devnull, os.O_RDONLY)
        os.close(last)
        try:
            PerfSource(tmp_path)
        except MeterError as error:
            return str(error)
        return "opened"

    assert "too many open files (256 are allowed). Cure: close some, or ulimit -n 512" in str(in_child(attempt))


@pytest.mark.root
def test_another_user_is_told_the_level_and_the_command(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    if int(Path("/proc/sys/kernel/perf_event_paranoid").read_text()) <= 0:
        pytest.skip("perf_event_paranoid lets everybody count here")
    tmp_path.chmod(0o755)
    clocks(tmp_path)

    def attempt() -> str:
        os.setuid(65534)
        try:
            perf_event_open(SOFTWARE, (CPU_CLOCK, 0, 0), 0)
        except PermissionError:
            pass
        else:
            return "counted"
        try:
            PerfSource(Path("/proc/self/cwd"))
        except MeterError as error:
            return str(error)
        return "opened"

    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        message = str(in_child(attempt))
    finally:
        os.chdir(here)
    assert message.count("permission denied") == 1
    assert "perf_event_paranoid (it is 2; " in message
    assert "CAP_PERFMON" in message
    assert "sudo sysctl kernel.perf_event_paranoid=0" in message


def test_an_architecture_whose_number_is_not_known() -> None:
    with pytest.raises(MeterError, match=r"perf_event_open on riscv64 is not known here. Cure: use powercap"):
        perf_event_open(SOFTWARE, (CPU_CLOCK, 0, 0), 0, machine="riscv64")
