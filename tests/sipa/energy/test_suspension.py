"""Time in suspend, as two clocks tell it."""

import time
from collections.abc import Callable

import pytest

from sipa.energy import EnergyMeter, PowerModel
from sipa.energy.suspension import asleep_ns, boot_clock
from tests.sipa.energy.fake_clock import FakeClock, run
from tests.sipa.energy.powercap_tree import PowercapTree


def ticking(*values: int) -> Callable[[], int]:
    left = iter(values)
    return lambda: next(left)


def test_the_difference_of_the_clocks_is_time_in_suspend() -> None:
    assert asleep_ns(ticking(100, 110), ticking(5_000_105)) == 5_000_005


def test_a_thread_that_loses_its_cpu_between_the_clocks_is_no_suspend() -> None:
    late = ticking(0, 50_000_000, 60_000_000, 60_000_100)
    assert asleep_ns(late, ticking(50_000_000, 60_000_050)) == 50


def test_the_best_of_a_few_tries_counts() -> None:
    monotonic = [n * 10**9 + part for n in range(5) for part in (0, 10**8)]
    boot = [n * 10**9 + blur for n, blur in enumerate([9, 5, 3, 7, 8])]
    assert asleep_ns(ticking(*monotonic), ticking(*boot)) == 3


def test_this_machine_does_not_fall_asleep_between_two_lines() -> None:
    first = asleep_ns(time.monotonic_ns, boot_clock)
    assert first >= 0
    assert abs(asleep_ns(time.monotonic_ns, boot_clock) - first) < 10**9


def test_a_suspended_host_has_no_energy_and_says_why(tree: PowercapTree, clock: FakeClock) -> None:
    boot = FakeClock()
    with EnergyMeter(root=tree.root, clock=clock, boot_clock=lambda: clock() + boot()) as meter:
        with meter.window("asleep") as asleep:
            run(tree, clock, 10, pkg0=100, pkg1=100, dram0=10, dram1=10)
            boot.sleep(3600)
        with meter.window("awake") as awake:
            run(tree, clock, 10, pkg0=100, pkg1=100, dram0=10, dram1=10)
    assert (asleep.total_j, asleep.quality) == (None, "unavailable")
    assert asleep.reason.count("the host was suspended for 3600 s") == 4
    assert str(tree.path("dram1")) in asleep.reason
    assert awake.total_j == pytest.approx(2200, abs=1e-3)


def test_the_model_knows_nothing_of_a_suspend_either(tree: PowercapTree, clock: FakeClock) -> None:
    boot = FakeClock()
    model = PowerModel(idle_w=60, max_w=160)
    with (
        EnergyMeter("model", root=tree.root, clock=clock, boot_clock=lambda: clock() + boot(), model=model) as meter,
        meter.window() as window,
    ):
        tree.set_cpu_times(busy=500, idle=2500)
        clock.sleep(10)
        boot.sleep(60)
    assert (window.estimated_j, window.quality) == (None, "unavailable")
    assert "the host was suspended for 60 s" in window.reason
