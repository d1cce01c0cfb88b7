"""A meter's life: guard thread, other threads, forks, closing and being forgotten."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sipa.energy import EnergyMeter, Quality
from sipa.energy.meter import MAX_GUARD_S, guard_interval_s
from sipa.energy.readings import Domain, DomainKind
from sipa.errors import MeterError
from tests.sipa.energy.fake_clock import FakeClock, run
from tests.sipa.energy.powercap_tree import Layout, LiveFeeder, PowercapTree
from tests.sipa.energy.process import descriptors, guards, in_child

COUNT_J = 61035e-9


@pytest.mark.parametrize(
    ("range_uj", "max_power_w", "interval_s"),
    [(262143328850, 330, MAX_GUARD_S), (65532610987, 1000, 16.383), (65532610987, 4000, 4.0958)],
)
def test_the_guard_reads_four_times_as_often_as_a_counter_can_wrap(
    range_uj: int, max_power_w: float, interval_s: float
) -> None:
    domain = Domain(
        id="pkg0",
        kind=DomainKind.PACKAGE,
        package=0,
        range_uj=range_uj,
        max_power_w=max_power_w,
        path="",
    )
    assert guard_interval_s([domain]) == pytest.approx(interval_s, rel=1e-4)


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something becomes true; the limit is only there so that a failure ends."""
    for _ in range(3000):
        if holds():
            return True
        time.sleep(0.01)
    return False


def small_range(tree: PowercapTree, range_uj: int = 200_000_000) -> None:
    """A counter that may wrap every 0.6 s, so that the guard must really work."""
    for domain in tree.ids:
        tree.path(domain, "max_energy_range_uj").write_text(f"{range_uj}\n")
        tree.show(domain, b"0\n")


def test_the_guard_sees_wraps_that_no_window_edge_would(tree: PowercapTree) -> None:
    small_range(tree)
    with EnergyMeter(root=tree.root) as meter:
        [guard] = guards()
        assert guard.daemon
        token = meter.begin()
        for value in (150_000_000, 40_000_000, 190_000_000, 20_000_000):
            before = meter._source.mark
            tree.show("pkg0", b"%d\n" % value)
            assert eventually(lambda before=before: meter._source.mark is not before)  # type: ignore[misc]
        track, first = meter.end(token).by_domain["pkg0"], token.mark.tracks["pkg0"]
    assert first.wraps == 0
    assert track.wraps == 2 or track.quality is Quality.UNAVAILABLE
    assert guards() == []


def test_close_is_idempotent_and_a_closed_meter_says_so(tree: PowercapTree) -> None:
    before = len(descriptors())
    meter = EnergyMeter(root=tree.root)
    token = meter.begin()
    meter.close()
    meter.close()
    meter.poll()
    for use in (meter.begin, lambda: meter.end(token)):
        with pytest.raises(MeterError, match="meter is closed"):
            use()
    assert guards() == []
    assert len(descriptors()) == before


def test_a_forgotten_meter_lets_its_descriptors_go(tree: PowercapTree) -> None:
    before = len(descriptors())
    meter = EnergyMeter(root=tree.root)
    gone, stop = weakref.ref(meter), meter._stop
    del meter
    gc.collect()
    assert gone() is None
    assert len(descriptors()) == before
    stop.set()
    assert eventually(lambda: not guards())


def test_the_guard_of_a_forgotten_meter_ends(tree: PowercapTree) -> None:
    small_range(tree)
    EnergyMeter(root=tree.root)
    gc.collect()
    assert eventually(lambda: not guards())


def test_a_meter_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    before = len(descriptors())
    with pytest.raises(MeterError):
        EnergyMeter(root=PowercapTree(tmp_path, layout=Layout.NO_RANGE).root)
    assert (guards(), len(descriptors())) == ([], before)


def test_a_token_of_another_meter_is_refused(tree: PowercapTree) -> None:
    with EnergyMeter(root=tree.root) as one, EnergyMeter(root=tree.root) as other:
        token = one.begin("mine")
        with pytest.raises(MeterError, match="'mine' was begun on another meter"):
            other.end(token)


def test_windows_of_many_threads_agree_with_the_truth(tree: PowercapTree) -> None:
    power_w = {"pkg0": 160.0, "pkg1": 120.0, "dram0": 20.0, "dram1": 10.0}
    tree.wraps_after("pkg0", 20)
    tree.wraps_after("dram1", 1)

    def windows(meter: EnergyMeter) -> list[str]:
        wrong = []
        for _ in range(20):
            outside = tree.energy_j("pkg0")
            token = meter.begin()
            inside = tree.energy_j("pkg0")
            time.sleep(0.02)
            inside = tree.energy_j("pkg0") - inside
            window = meter.end(token)
            outside = tree.energy_j("pkg0") - outside
            found = window.by_domain["pkg0"].joules
            if found is None or not inside - COUNT_J <= found <= outside + COUNT_J:
                wrong.append(f"{inside} {found} {outside} {window.reason}")
        return wrong

    with EnergyMeter(root=tree.root) as meter, LiveFeeder(tree, power_w, hz=200), ThreadPoolExecutor(4) as pool:
        found = [pool.submit(windows, meter) for _ in range(4)]
    assert [each.result() for each in found] == [[], [], [], []]


def test_a_forked_child_measures_with_descriptors_and_a_guard_of_its_own(tree: PowercapTree, clock: FakeClock) -> None:
    tree.wraps_after("pkg0", 150)
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        before = meter.begin("across")

        def work() -> dict[str, object]:
            idle = (len(guards()), len(meter._source.source._files))  # type: ignore[attr-defined]
            run(tree, clock, 1, pkg0=100)
            with meter.window() as window:
                run(tree, clock, 1, pkg0=100)
            across = meter.end(before)
            busy = (len(guards()), len(meter._source.source._files))  # type: ignore[attr-defined]
            meter.close()
            return {
                "idle": idle,
                "busy": busy,
                "window": window.by_domain["pkg0"].joules,
                "across": across.by_domain["pkg0"].joules,
            }

        found = in_child(work)
        assert isinstance(found, dict)
        assert (found["idle"], found["busy"]) == ([0, 0], [1, 4])
        assert [found["window"], found["across"]] == pytest.approx([100, 200], abs=COUNT_J)

        with meter.window() as window:
            run(tree, clock, 1, pkg0=100)
        assert window.by_domain["pkg0"].joules is not None


def test_a_fork_while_the_lock_is_held_does_not_hang_the_child(tree: PowercapTree) -> None:
    with EnergyMeter(root=tree.root) as meter, meter._lock:
        assert in_child(lambda: meter.end(meter.begin()).quality) == "measured"


def test_a_child_that_does_not_measure_gets_nothing_and_ends_quietly(tree: PowercapTree) -> None:
    def work() -> int:
        meter.close()
        return len(guards())

    with EnergyMeter(root=tree.root) as meter:
        assert in_child(work) == 0
        closed = EnergyMeter(root=tree.root)
        closed.close()
        with pytest.raises(AssertionError, match="the child died"):
            in_child(lambda: closed.begin().name)


def test_no_child_process_is_started(tree: PowercapTree) -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text()
    with EnergyMeter(root=tree.root) as meter, meter.window():
        assert children.read_text() == before
