"""Power over time, cut from the reads that are made anyway."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.energy import EnergyMeter, MeterKind
from sipa.energy.readings import advance
from sipa.energy.trace import MAX_MARKS, PowerSample, power_samples
from sipa.errors import MeterError, UsageError
from tests.sipa.energy.fake_clock import FakeClock, run
from tests.sipa.energy.powercap_tree import PowercapTree
from tests.sipa.energy.simulated_counter import Simulated, domain, energy

SECOND = 10**9


@pytest.fixture
def traced(tree: PowercapTree, clock: FakeClock) -> EnergyMeter:
    """A meter that keeps a trace, whose guard never wakes while a test runs: the test polls in its place."""
    return EnergyMeter(root=tree.root, clock=clock, trace_s=60.0)


def of_package(samples: tuple[PowerSample, ...], name: str = "pkg0") -> list[tuple[float, float]]:
    return [(sample.t_s, round(sample.power_w, 3)) for sample in samples if sample.domain == name]


def test_a_trace_has_the_power_of_each_interval(traced: EnergyMeter, tree: PowercapTree, clock: FakeClock) -> None:
    with traced:
        run(tree, clock, 100, pkg0=300)
        traced.poll()
        with traced.window() as window:
            for power_w in (100, 150, 50):
                run(tree, clock, 60, pkg0=power_w, pkg1=10, dram0=5)
                traced.poll()
            run(tree, clock, 45, pkg0=80)
        run(tree, clock, 60, pkg0=300)
        traced.poll()
        samples = traced.trace(window)
    assert of_package(samples) == [(60, 100), (120, 150), (180, 50), (225, 80)]
    assert of_package(samples, "dram0") == [(60, 5), (120, 5), (180, 5)]
    assert [sample.t_s for sample in samples] == sorted(sample.t_s for sample in samples)


def test_short_intervals_at_the_edges_are_joined(traced: EnergyMeter, tree: PowercapTree, clock: FakeClock) -> None:
    with traced:
        token = traced.begin()
        for seconds, power_w in [(10, 100), (60, 160), (60, 50), (20, 250)]:
            run(tree, clock, seconds, pkg0=power_w)
            traced.poll()
        samples = traced.trace(traced.end(token))
    assert of_package(samples) == [(70, pytest.approx((1000 + 9600) / 70, abs=1e-3)), (150, 100)]


def test_a_window_of_one_interval_has_one_sample(traced: EnergyMeter, tree: PowercapTree, clock: FakeClock) -> None:
    with traced:
        with traced.window() as window:
            run(tree, clock, 0.5, pkg0=100)
        nothing = traced.end(traced.begin())
        assert of_package(traced.trace(window)) == [(0.5, 100)]
        assert traced.trace(nothing) == ()


def test_other_windows_do_not_cut_the_trace(traced: EnergyMeter, tree: PowercapTree, clock: FakeClock) -> None:
    with traced, traced.window() as outer:
        for _ in range(3):
            with traced.window():
                run(tree, clock, 60, pkg0=100)
    assert of_package(traced.trace(outer)) == [(180, 100)]


def test_a_broken_interval_gives_no_sample(traced: EnergyMeter, tree: PowercapTree, clock: FakeClock) -> None:
    with traced, traced.window() as window:
        for content in (None, b"", None, None):
            run(tree, clock, 60, pkg0=100, pkg1=100)
            if content is not None:
                tree.show("pkg0", content)
            traced.poll()
        tree.advance("pkg1", 250_000)
        run(tree, clock, 60, pkg0=100, pkg1=0)
        traced.poll()
        run(tree, clock, 60, pkg0=100, pkg1=100)
    samples = traced.trace(window)
    assert of_package(samples) == [(60, 100), (240, 100), (300, 100), (360, 100)]
    assert of_package(samples, "pkg1") == [(60, 100), (120, 100), (180, 100), (240, 100), (360, 100)]


def test_a_meter_without_a_trace_says_how_to_get_one(tree: PowercapTree) -> None:
    with EnergyMeter(root=tree.root) as meter:
        meter.poll()
        window = meter.end(meter.begin())
        with pytest.raises(MeterError, match=r"Cure: EnergyMeter\(trace_s=1.0\)"):
            meter.trace(window)
        assert not meter._trace


def test_a_window_of_another_meter_has_no_trace(tree: PowercapTree) -> None:
    with EnergyMeter("none", root=tree.root) as other:
        theirs = other.end(other.begin("theirs"))
    with (
        EnergyMeter(root=tree.root, trace_s=1) as meter,
        pytest.raises(MeterError, match="'theirs' was not measured by this meter"),
    ):
        meter.trace(theirs)


def test_a_source_without_counters_has_an_empty_trace(tree: PowercapTree) -> None:
    with EnergyMeter("none", root=tree.root, trace_s=1.0) as meter:
        assert meter.kind is MeterKind.NONE
        assert meter.trace(meter.end(meter.begin())) == ()


@pytest.mark.parametrize("trace_s", [0, -1, float("nan"), float("inf")])
def test_a_period_that_makes_no_sense_is_refused(tree: PowercapTree, trace_s: float) -> None:
    with pytest.raises(UsageError, match="trace_s must be a positive number"):
        EnergyMeter(root=tree.root, trace_s=trace_s)


def test_what_is_kept_is_bounded(tree: PowercapTree) -> None:
    with EnergyMeter(root=tree.root, trace_s=1.0) as meter:
        assert meter._trace.maxlen == MAX_MARKS == 86_400


@given(
    schedule=st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1000, 330_000)), min_size=1, max_size=20),
    start=st.integers(0, 2**32 - 1),
)
def test_the_samples_of_a_window_add_up_to_its_energy(schedule: list[tuple[int, int]], start: int) -> None:
    of = domain()
    marks, _ = Simulated(of, start=start).marks(schedule)
    edges, whole = (marks[0], marks[-1]), energy(of, marks[0], marks[-1])
    samples = power_samples([of], edges, marks, 1.0)
    times = [0.0, *(sample.t_s for sample in samples)]
    if whole.joules is not None and samples and len(samples) == len({sample.t_s for sample in samples}):
        added = sum(
            sample.power_w * (end - begin) for sample, (begin, end) in zip(samples, pairwise(times), strict=True)
        )
        assert added == pytest.approx(whole.joules, rel=1e-9, abs=1e-9)
    if len(times) > 2:
        assert min(end - begin for begin, end in pairwise(times)) >= 0.5


def test_marks_outside_the_window_are_none_of_it() -> None:
    of = domain()
    counter = Simulated(of)
    marks = [advance([of], None, counter.read())]
    for _ in range(6):
        counter.run(SECOND, 100_000)
        marks.append(advance([of], marks[-1], counter.read()))
    samples = power_samples([of], (marks[2], marks[4]), marks, 1.0)
    assert [round(sample.t_s) for sample in samples] == [1, 2]
