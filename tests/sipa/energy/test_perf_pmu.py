"""What is read of a PMU's files, and what is refused by name."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.energy.perf_pmu import config_of, cpus_in, read_pmu, scale_of
from sipa.energy.readings import DomainKind
from sipa.errors import MeterError
from tests.sipa.energy.perf_tree import KERNEL_SCALE, SERVER, PerfTree
from tests.sipa.energy.powercap_tree import Layout, PowercapTree

FORMATS = {"event": ("config", tuple(range(8))), "umask": ("config", tuple(range(8, 16))), "edge": ("config1", (3,))}


def test_a_server_has_two_sockets_with_dram(tmp_path: Path) -> None:
    pmu = read_pmu(PerfTree(tmp_path, pmu_type="17").root)
    assert pmu.type == 17
    assert [(place.cpu, place.package, place.die) for place in pmu.places] == [(0, 0, None), (24, 1, None)]
    assert [(event.kind, event.config) for event in pmu.events] == [
        (DomainKind.PACKAGE, (2, 0, 0)),
        (DomainKind.DRAM, (3, 0, 0)),
    ]
    assert {event.scale for event in pmu.events} == {Fraction(1, 2**32)}
    assert (pmu.problems, pmu.ignored) == ((), ())


def test_every_event_of_the_kernel_has_its_kind(tmp_path: Path) -> None:
    names = ["energy-cores", "energy-pkg", "energy-ram", "energy-gpu", "energy-psys"]
    events = {name: f"event={number:#04x}" for number, name in enumerate(names, 1)} | {
        "energy-unheard-of": "event=0x09"
    }
    pmu = read_pmu(PerfTree(tmp_path, events=events).root)
    assert {event.kind: event.config[0] for event in pmu.events} == {
        DomainKind.CORE: 1,
        DomainKind.PACKAGE: 2,
        DomainKind.DRAM: 3,
        DomainKind.UNCORE: 4,
        DomainKind.PSYS: 5,
    }


def test_dies_with_counters_of_their_own_are_told_apart(tmp_path: Path) -> None:
    places = {0: (0, 0), 24: (0, 1), 48: (1, 0), 72: (1, 1)}
    pmu = read_pmu(PerfTree(tmp_path, places=places).root)
    assert [(place.package, place.die) for place in pmu.places] == list(places.values())


def test_on_amd_the_dies_of_a_package_show_one_counter(tmp_path: Path) -> None:
    PowercapTree(tmp_path, layout=Layout.ZEN_DIES)
    pmu = read_pmu(PerfTree(tmp_path, places={0: (0, 0), 8: (0, 1)}, events={"energy-pkg": "event=0x02"}).root)
    assert [(place.cpu, place.package, place.die) for place in pmu.places] == [(0, 0, 0)]
    assert pmu.ignored == ("CPU 8: shows the counter of package 0 once more (AMD counts per socket)",)


def test_two_cpus_that_count_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="cpumask: CPU 8 and CPU 0 both count package 0"):
        read_pmu(PerfTree(tmp_path, places={0: (0, 0), 8: (0, 0)}).root)


def test_no_pmu_says_so_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"devices/power: does not exist.*On bare metal: sudo modprobe rapl"):
        read_pmu(tmp_path)


def test_no_package_event_is_no_meter(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"events/energy-pkg: does not exist"):
        read_pmu(PerfTree(tmp_path, events={"energy-ram": "event=0x03"}).root)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("type", "power", "type: 'power' is no number"),
        ("type", "-1", "is no number"),
        ("cpumask", "", "cpumask: '' names no CPU, so nothing is counted"),
        ("cpumask", "0;24", "names no CPU"),
        ("cpumask", "0,99", r"cpu99/topology/physical_package_id: cannot be read: No such file"),
        ("format/event", "0-7", r"format/event: '0-7' is no format"),
        ("format/event", "config:0-70", "is no format"),
    ],
)
def test_a_pmu_that_is_not_the_kernels_is_refused_by_file(tmp_path: Path, file: str, text: str, words: str) -> None:
    tree = PerfTree(tmp_path)
    tree.write(file, text)
    with pytest.raises(MeterError, match=words) as caught:
        read_pmu(tree.root)
    assert "Cure: " in str(caught.value)


@pytest.mark.parametrize("file", ["type", "cpumask"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    tree = PerfTree(tmp_path)
    tree.remove(file)
    with pytest.raises(MeterError, match=rf"devices/power/{file}: cannot be read: No such file"):
        read_pmu(tree.root)


def test_a_socket_whose_number_is_unknown_is_refused(tmp_path: Path) -> None:
    tree = PerfTree(tmp_path)
    (tmp_path / "sys/devices/system/cpu/cpu24/topology/physical_package_id").write_text("-1\n")
    with pytest.raises(MeterError, match=r"cpu24/topology/physical_package_id: '-1' is no number"):
        read_pmu(tree.root)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("energy-ram", "event=0x1ff", "needs more than its 8 bits"),
        ("energy-ram", "period=3", "the term 'period=3' is not one of event"),
        ("energy-ram", "event = 3", "is not one of event"),
        ("energy-ram", "", "the term '' is not one of event"),
        ("energy-ram.scale", "", "'' is no positive decimal number"),
        ("energy-ram.scale", "1/2", "no positive decimal number"),
        ("energy-ram.scale", "-1e-9", "no positive decimal number"),
        ("energy-ram.scale", "0.0", "no positive decimal number"),
        ("energy-ram.scale", "inf", "no positive decimal number"),
        ("energy-ram.unit", "Watts", "its unit is 'Watts' instead of 'Joules'"),
        ("energy-ram.unit", None, r"energy-ram.unit: cannot be read"),
        ("energy-ram.scale", None, r"energy-ram.scale: cannot be read"),
    ],
)
def test_an_event_that_cannot_be_understood_is_a_problem_of_that_event(
    tmp_path: Path, file: str, text: str | None, words: str
) -> None:
    tree = PerfTree(tmp_path)
    if text is None:
        tree.remove(f"events/{file}")
    else:
        tree.write(f"events/{file}", text)
    pmu = read_pmu(tree.root)
    [problem] = pmu.problems
    assert [event.kind for event in pmu.events] == [DomainKind.PACKAGE]
    assert problem.needed
    assert str(tree.folder / "events/energy-ram") in str(problem)
    assert words in str(problem)
    assert "Cure: " in str(problem)


def test_a_broken_event_that_no_total_needs_is_only_named(tmp_path: Path) -> None:
    tree = PerfTree(tmp_path, events=SERVER | {"energy-psys": "event=0x05"})
    tree.write("events/energy-psys.unit", "Watts")
    [problem] = read_pmu(tree.root).problems
    assert not problem.needed


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", (0,)), ("0,24", (0, 24)), ("0-2,8", (0, 1, 2, 8)), ("", None), ("a", None), ("0-", None), ("1,,2", None)],
)
def test_lists_of_cpus(text: str, cpus: tuple[int, ...] | None) -> None:
    assert cpus_in(text) == cpus


def test_terms_are_put_where_the_format_says() -> None:
    assert config_of("event=0x02", FORMATS) == (2, 0, 0)
    assert config_of("event=2,umask=0x81,edge", FORMATS) == (0x8102, 8, 0)


@given(event=st.integers(0, 255), umask=st.integers(0, 255))
def test_any_term_that_fits_is_found_again(event: int, umask: int) -> None:
    config, *_ = config_of(f"event={event:#x},umask={umask}", FORMATS)
    assert (config & 0xFF, config >> 8) == (event, umask)


@pytest.mark.parametrize("scale", [KERNEL_SCALE, "1e-9", "0.000001", "2"])
def test_a_scale_is_exact(scale: str) -> None:
    assert scale_of(scale) == Fraction(scale)
    assert scale_of(KERNEL_SCALE) == Fraction(1, 2**32)
