"""A whole commissioning in simulated time: full length, a real wrap of 2^32 counts, and every joule known."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest

from jobs.commission import page, registry
from jobs.commission.bench import Effects
from jobs.commission.commissioning import Request, commission
from jobs.commission.lengths import FULL, Lengths
from jobs.commission.record import Commissioning, content
from jobs.commission.steps import At, Begun, Event, Judged, Step
from jobs.commission.verdict import Finding, Verdict
from jobs.environment import identify
from sipa.errors import HostError, MeterError
from tests.jobs.commission.simulated import SimulatedLoad, SimulatedNode, usual
from tests.sipa.energy.perf_tree import clocks, why_not_perf
from tests.sipa.energy.powercap_tree import LiveFeeder

LENGTHS = replace(FULL, reads=200, spin_s=0.1, controls=0)
"""The full length of everything that sleeps; little of what spins, which simulated time makes slow."""


def request(node: SimulatedNode, lengths: Lengths = LENGTHS) -> Request:
    return Request(
        node="node-7",
        identity=identify(node.root),
        lock=node.root / "lock",
        results=node.root,
        root=node.root,
        lengths=lengths,
    )


def commissioned(
    node: SimulatedNode, lengths: Lengths = LENGTHS, report: Callable[[Event], None] = lambda _: None
) -> Commissioning:
    return commission(request(node, lengths), report, effects=node.effects())


def finding(found: Commissioning, key: str) -> Finding:
    return next(each for each in found.findings if each.key == key)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> SimulatedNode:
    node = SimulatedNode(tmp_path_factory.mktemp("node") / "tree", noise=0.003)
    node.tree.wraps_after("pkg1", 200_000)
    return node


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def found(node: SimulatedNode, events: list[Event]) -> Commissioning:
    return commissioned(node, report=events.append)


def test_a_good_node_passes_all_that_can_be_tested_there(found: Commissioning) -> None:
    untested = {"agreement", "control-energy", "control-time"}
    assert {each.key for each in found.findings if each.verdict is not Verdict.OK} == untested
    assert {finding(found, key).verdict for key in untested} == {Verdict.UNKNOWN}
    assert (found.verdict, found.rehearsal, found.refused) == (Verdict.UNKNOWN, True, False)


def test_the_idle_node_is_what_it_draws(found: Commissioning) -> None:
    assert found.idle.window.duration_s == pytest.approx(600, abs=0.01)
    assert found.idle.total.mean_w == pytest.approx(
        sum(usual(d, 0, False) for d in ("pkg0", "pkg1", "dram0", "dram1")), rel=1e-3
    )
    assert len(found.idle.trace["pkg0"]) == pytest.approx(600, abs=3)
    assert found.idle.blocks == 10


def test_both_package_counters_cross_a_real_wrap(found: Commissioning) -> None:
    assert {each.domain for each in found.stress.crossings} == {"pkg0", "pkg1"}
    packages = {each.domain: each for each in found.stress.window.counters}
    assert packages["pkg0"].wraps == packages["pkg1"].wraps == 1
    for each in found.stress.crossings:
        assert each.before_s - each.after_s == pytest.approx(1.0, abs=0.01)
        assert each.neighbours_w == pytest.approx(usual(each.domain, 0, True), rel=0.01)
    last = max(each.before_s for each in found.stress.crossings)
    assert found.stress.window.duration_s - last == pytest.approx(LENGTHS.after_wrap_s, abs=2)


def test_energy_over_the_wrap_is_the_truth(found: Commissioning) -> None:
    for each in found.stress.window.counters:
        assert each.power_w == pytest.approx(usual(each.domain, 0, True), rel=1e-3)
        begins = [0.0, *(end for end, _ in found.stress.trace[each.domain])]
        pieces = zip(begins, found.stress.trace[each.domain], strict=False)
        assert sum(watts * (end - begin) for begin, (end, watts) in pieces) == pytest.approx(each.energy_j, rel=1e-6)


def test_the_bmc_is_asked_in_both_states(found: Commissioning) -> None:
    assert [each.state for each in found.node_power] == ["idle", "stress"]
    assert [each.rest_w for each in found.node_power] == [pytest.approx(90, abs=2)] * 2
    assert all(len(each.readings_w) == 5 for each in found.node_power)


def test_updates_of_a_millisecond_are_seen(found: Commissioning) -> None:
    for each in found.updates:
        assert each.period is not None
        assert each.period.median_s == pytest.approx(1e-3, rel=0.02)


def test_steps_come_in_order_and_what_is_left_goes_down(events: list[Event], found: Commissioning) -> None:
    assert isinstance(events[0], Begun)
    assert [each.step for each in events if isinstance(each, Judged)] == list(Step)
    told = [each for each in events if isinstance(each, At)]
    assert [each.step for each in told] == sorted((each.step for each in told), key=list(Step).index)
    stress = [each.left_s for each in told if each.step is Step.STRESS and each.fraction is not None]
    assert all(later <= earlier for earlier, later in pairwise(stress))
    assert events[0].forecast.total_s == pytest.approx(found.duration_s, rel=0.1)
    assert sum(len(each.findings) for each in events if isinstance(each, Judged)) == len(found.findings)


def test_the_content_is_json_and_its_id_does_not_change(found: Commissioning, tmp_path: Path) -> None:
    values = content(found)
    number = registry.commission_id(values)
    assert (
        registry.commission_id(json.loads(json.dumps(values, allow_nan=False)))
        == number
        == registry.commission_id(content(found))
    )
    assert (values["rehearsal"], values["quick"], values["schema"]) == (True, False, 1)
    assert "nothing but the program" in values["caveat"]
    assert len(values["stress"]["trace"]["pkg0"]) == pytest.approx(found.stress.window.duration_s, abs=3)
    assert "commission_id" not in values["columns"]


def test_the_page_has_the_id_and_every_finding(found: Commissioning) -> None:
    html = page.render(found, "0123456789abcdef")
    assert html.count("<svg") == 5, "all but the control workload, which did not run"
    assert html.count("0123456789abcdef") >= 3
    assert "nothing but the program" in html
    for each in found.findings:
        assert each.title in html
    assert all(word not in html for word in ('href="http', "src=", "url(http", "<script", "None"))


def test_a_name_is_text_on_the_page(found: Commissioning) -> None:
    assert "<b>evil</b>" not in page.render(replace(found, node="<b>evil</b>"), "0" * 16)


def test_a_counter_that_is_reset_under_load_is_no_wrap(tmp_path: Path) -> None:
    """Without power between, a lower value is a wrap: only the impossible power tells that it was none."""
    node = SimulatedNode(tmp_path / "tree", bmc=None)
    node.tree.wraps_after("pkg1", 50_000)
    reset = []

    def report(event: Event) -> None:
        if isinstance(event, At) and event.step is Step.STRESS and (event.fraction or 0) > 0.1 and not reset:
            node.tree.reset("pkg0")
            reset.append(event)

    found = commissioned(node, replace(LENGTHS, idle_s=30, stress_limit_s=900), report)
    assert finding(found, "wrap").verdict is Verdict.FAIL
    assert "maximum" in finding(found, "wrap").found


def test_a_stress_that_ends_too_early_says_so(tmp_path: Path) -> None:
    node = SimulatedNode(tmp_path / "tree", bmc=None)
    found = commissioned(node, replace(LENGTHS, idle_s=30, stress_limit_s=60))
    wrap = finding(found, "wrap")
    assert (wrap.verdict, wrap.found) == (Verdict.UNKNOWN, "not crossed: 0 of 2 package counters wrapped in 60 s")
    assert "--max-stress" in wrap.cure
    assert finding(found, "node-power").cure == "sudo apt install ipmitool"


def test_a_counter_that_breaks_in_the_idle_hour_fails_with_the_reason(tmp_path: Path) -> None:
    def law(domain: str, at_s: float, loaded: bool) -> float:
        return 0.0 if domain == "dram1" else usual(domain, at_s, loaded)

    found = commissioned(
        SimulatedNode(tmp_path / "tree", law, bmc=None), replace(LENGTHS, idle_s=30, stress_limit_s=30)
    )
    assert finding(found, "idle-drift").verdict is Verdict.FAIL
    assert "stood still" in finding(found, "idle-drift").found
    assert "dram1 is unavailable" in finding(found, "dram").found
    assert found.verdict is Verdict.FAIL
    assert page.render(found, "0" * 16)


def test_a_node_without_counters_is_refused_before_anything_runs(tmp_path: Path) -> None:
    node = SimulatedNode(tmp_path / "tree")
    node.tree.path("pkg0").unlink()
    told: list[Event] = []
    with pytest.raises(MeterError, match="modprobe"):
        commissioned(node, report=told.append)
    assert told == []


def test_a_load_that_dies_ends_it(tmp_path: Path) -> None:
    class Dying:
        cpus = (0,)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *exc: object) -> None:
            return

        def check(self) -> None:
            raise HostError("the load ended by itself")

    node = SimulatedNode(tmp_path / "tree", bmc=None)
    with pytest.raises(HostError, match="ended by itself"):
        commission(
            request(node, replace(LENGTHS, idle_s=5)), lambda _: None, effects=replace(node.effects(), load=Dying)
        )


@pytest.fixture
def perf() -> None:
    """Skips where perf_event_open refuses to count for the whole machine."""
    if reason := why_not_perf():
        pytest.skip(reason)


REAL_TIME = Effects(load=lambda: nullcontext(SimulatedLoad()))
"""Because perf has clocks of its own."""

BRIEF = replace(LENGTHS, idle_s=1.5, stress_limit_s=2.0, compare_s=0.0)


@pytest.mark.perf
@pytest.mark.usefixtures("perf")
def test_a_second_reader_that_says_something_else_fails(tmp_path: Path) -> None:
    """perf counts 1 W by the clocks of CPUs; powercap is made to show a hundred."""
    node = SimulatedNode(tmp_path / "tree", bmc=None)
    clocks(node.root, 2)
    with LiveFeeder(node.tree, dict.fromkeys(node.tree.ids, 100.0)):
        found = commission(request(node, BRIEF), lambda _: None, effects=REAL_TIME)
    agreement = finding(found, "agreement")
    assert agreement.verdict is Verdict.FAIL
    assert "pkg0: powercap says" in agreement.found
    assert {(each.state, each.domain) for each in found.compared} >= {("idle", "pkg0"), ("stress", "dram0")}
    assert {each.name: each.role for each in found.facts.sources} == {
        "powercap": "source",
        "perf": "check",
        "dcmi": "unused",
    }


@pytest.mark.perf
@pytest.mark.usefixtures("perf")
def test_a_node_with_perf_alone_has_no_wrap_to_cross(tmp_path: Path) -> None:
    node = SimulatedNode(tmp_path / "tree", bmc=None)
    clocks(node.root, 2)
    for domain in node.tree.ids:
        node.tree.path(domain).unlink()
    found = commission(request(node, BRIEF), lambda _: None, effects=REAL_TIME)
    assert finding(found, "wrap").found.startswith("the kernel widens")
    assert finding(found, "update-period").verdict is Verdict.UNKNOWN
    assert found.idle.window.source == "perf"
    assert found.latency.whole is not None
    assert found.latency.single == {}
    assert page.render(found, "0" * 16)
