"""Windows as a user has them, against the energy that a fake machine drew."""

from pathlib import Path

import pytest

from sipa.energy import EnergyMeter, Flag, Quality
from sipa.energy.readings import DomainKind
from sipa.errors import MeterError
from tests.sipa.energy.fake_clock import FakeClock, run
from tests.sipa.energy.powercap_tree import Layout, PowercapTree

COUNT_J = 61035e-9


def test_a_window_has_the_energy_of_its_block(tree: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window("inference") as window:
        run(tree, clock, 10, pkg0=165, pkg1=150, dram0=20, dram1=18)
    assert window.duration_s == 10
    assert window.package_j == pytest.approx(3150, abs=2 * COUNT_J)
    assert window.dram_j == pytest.approx(380, abs=2 * COUNT_J)
    assert window.total_j == pytest.approx(3530, abs=4 * COUNT_J)
    assert window.by_domain["pkg0"].joules == pytest.approx(1650, abs=COUNT_J)
    assert (window.name, window.source, window.quality) == ("inference", "powercap", Quality.MEASURED)
    assert window.energy.summed == ("pkg0", "pkg1", "dram0", "dram1")
    assert (window.estimated_j, window.flags, window.wraps) == (None, (), 0)


def test_wraps_inside_a_window(tree: PowercapTree, clock: FakeClock) -> None:
    tree.wraps_after("pkg0", 700)
    tree.wraps_after("dram1", 0)
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 10, pkg0=165, pkg1=150, dram0=20, dram1=18)
    assert window.by_domain["pkg0"].joules == pytest.approx(1650, abs=COUNT_J)
    assert window.by_domain["dram1"].joules == pytest.approx(180, abs=COUNT_J)
    assert window.wraps == 2


def test_many_wraps_with_the_guard_reading_and_none_without(tmp_path: Path, clock: FakeClock) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.EPYC)
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        with meter.window() as guarded:
            for _ in range(180):
                run(tree, clock, 60, pkg0=280, pkg1=225)
                meter.poll()
        with meter.window() as blind:
            run(tree, clock, 3600, pkg0=280, pkg1=225)
    assert guarded.total_j == pytest.approx(505 * 10_800, abs=2 * 15258e-9)
    assert guarded.wraps == 46 + 37
    assert (blind.total_j, blind.quality) == (None, Quality.UNAVAILABLE)
    assert "3600 s passed between two reads" in blind.reason


def test_windows_nest_and_overlap(tree: PowercapTree, clock: FakeClock) -> None:
    tree.wraps_after("pkg0", 250)
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        outer = meter.begin("outer")
        run(tree, clock, 1, pkg0=100)
        left = meter.begin("left")
        run(tree, clock, 2, pkg0=100)
        right = meter.begin("right")
        run(tree, clock, 4, pkg0=100)
        energies = {"left": meter.end(left)}
        run(tree, clock, 8, pkg0=100)
        energies |= {"right": meter.end(right), "outer": meter.end(outer)}
    found = {name: window.by_domain["pkg0"].joules for name, window in energies.items()}
    assert found == pytest.approx({"left": 600, "right": 1200, "outer": 1500}, abs=COUNT_J)
    assert {name: window.wraps for name, window in energies.items()} == {"left": 1, "right": 1 - 1, "outer": 1}


def test_a_window_begins_when_all_counters_were_read_and_ends_before_they_are_again(
    tree: PowercapTree,
) -> None:
    ticks = iter(range(0, 10**9, 10**8))
    with EnergyMeter(root=tree.root, clock=lambda: next(ticks)) as meter:
        window = meter.end(meter.begin())
    assert (window.begin_ns, window.end_ns) == (3 * 10**8, 4 * 10**8)


def test_a_token_may_be_ended_again_for_a_longer_window(tree: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        token = meter.begin()
        run(tree, clock, 1, pkg0=100)
        first = meter.end(token)
        run(tree, clock, 1, pkg0=100)
        second = meter.end(token)
    joules = [each.by_domain["pkg0"].joules for each in (first, second)]
    assert joules == pytest.approx([100, 200], abs=COUNT_J)


def test_a_window_ends_also_by_an_exception(tree: PowercapTree, clock: FakeClock) -> None:
    def work() -> None:
        run(tree, clock, 1, pkg0=100)
        raise ZeroDivisionError

    with EnergyMeter(root=tree.root, clock=clock) as meter:
        with pytest.raises(ZeroDivisionError), meter.window() as window:
            work()
        assert window.by_domain["pkg0"].joules == pytest.approx(100, abs=COUNT_J)


def test_a_running_window_has_no_numbers_yet(tree: PowercapTree) -> None:
    with EnergyMeter(root=tree.root) as meter, meter.window("load") as window:
        assert repr(window) == "<Window load: running>"
        with pytest.raises(MeterError, match="'load' has not ended"):
            _ = window.total_j
    assert repr(window).startswith("<Window load: ")
    assert "total_j" in dir(window)
    with pytest.raises(AttributeError):
        _ = window.joules
    with pytest.raises(AttributeError):
        _ = window._private


def test_a_failing_counter_spoils_the_total_and_only_its_domain(tree: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        with meter.window() as broken:
            run(tree, clock, 10, pkg0=100, pkg1=100, dram0=10, dram1=10)
            tree.show("dram1", b"")
        tree.advance("dram1", 0)
        with meter.window() as whole:
            run(tree, clock, 10, pkg0=100, pkg1=100, dram0=10, dram1=10)
    assert (broken.total_j, broken.dram_j) == (None, None)
    assert broken.package_j == pytest.approx(2000, abs=2 * COUNT_J)
    assert str(tree.path("dram1")) in broken.reason
    assert whole.total_j == pytest.approx(2200, abs=4 * COUNT_J)


def test_a_zone_that_vanishes_is_no_lost_socket(tree: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 10, pkg0=100, pkg1=100, dram0=10, dram1=10)
        tree.path("pkg0").unlink()
    assert (window.package_j, window.total_j) == (None, None)
    assert window.dram_j is not None
    assert "vanished" in window.reason


def test_a_short_window_says_so_and_bounds_its_error(tree: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 0.01, pkg0=100, pkg1=100, dram0=10, dram1=10)
    assert window.flags == (Flag.SHORT,)
    assert window.by_domain["pkg0"].uncertainty_j == pytest.approx(330 * 2e-3, rel=1e-2)


def test_a_reset_counter_is_flagged(tree: PowercapTree, clock: FakeClock) -> None:
    tree.advance("pkg0", 5000)
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 10, pkg1=100, dram0=10, dram1=10)
        tree.reset("pkg0")
    assert window.flags == (Flag.IMPLAUSIBLE,)
    assert "reset" in window.reason


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout.WITH_PSYS, ("pkg0", "pkg1", "dram0", "dram1")),
        (Layout.WITH_MMIO, ("pkg0", "pkg1", "dram0", "dram1")),
        (Layout.CLIENT, ("pkg0",)),
        (Layout.ZEN_DIES, ("pkg0die0",)),
        (Layout.EPYC, ("pkg0", "pkg1")),
        (Layout.SWAPPED, ("pkg0", "pkg1", "dram0", "dram1")),
        (Layout.MALFORMED, ("pkg0", "pkg1", "dram0", "dram1")),
        (Layout.SAPPHIRE_RAPIDS, ("pkg0", "pkg1", "dram0", "dram1")),
    ],
)
def test_totals_of_every_machine(tmp_path: Path, clock: FakeClock, layout: Layout, expected: tuple[str, ...]) -> None:
    tree = PowercapTree(tmp_path, layout=layout)
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 10, **dict.fromkeys(tree.ids, 20.0))
    assert window.summed == expected
    assert window.total_j == pytest.approx(200 * len(expected), abs=1e-3)


def test_per_socket_on_a_machine_with_dies(tmp_path: Path, clock: FakeClock) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.CASCADE_LAKE_AP)
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 1, **{domain: 10.0 * n for n, domain in enumerate(tree.ids, 1)})
    assert [each.domain.id for each in window.parts(DomainKind.PACKAGE, 1)] == ["pkg1die0", "pkg1die1"]


def test_a_range_that_is_smaller_than_the_window_gives_no_number(tmp_path: Path, clock: FakeClock) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.TINY_RANGE)
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        with meter.window() as blind:
            run(tree, clock, 10, pkg0=100, pkg1=100)
        with meter.window() as guarded:
            for _ in range(100):
                run(tree, clock, 0.1, pkg0=100, pkg1=100)
                meter.poll()
    assert (blind.total_j, guarded.total_j) == (None, pytest.approx(2000, abs=1e-5))
    assert "can wrap unseen after 0.60606 s" in blind.reason
    assert guarded.wraps == 10


def test_units_come_from_the_declared_range_and_from_no_table(tmp_path: Path, clock: FakeClock) -> None:
    tree = PowercapTree(tmp_path, layout=Layout.SAPPHIRE_RAPIDS)
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        units = {domain.id: domain.count_nj for domain in meter.domains}
    assert units == {"pkg0": 61035, "pkg1": 61035, "dram0": 61035, "dram1": 61035, "psys": 10**9}
