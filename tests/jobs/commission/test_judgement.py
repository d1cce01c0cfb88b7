"""What each step says of its numbers: by value, without a machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.commission.agreement import compared, judge_agreement
from jobs.commission.cooling import judge_cooling
from jobs.commission.facts import CounterFact, Facts, judge_facts
from jobs.commission.idle import Idle, judge_idle, steadiness
from jobs.commission.latency import Latency, judge_latency
from jobs.commission.memory_power import judge_memory, memory_power
from jobs.commission.node_power import NodePower, judge_node_power
from jobs.commission.repeatability import judge_repeatability, repeated
from jobs.commission.stress import Stress
from jobs.commission.update import Updates, judge_updates
from jobs.commission.verdict import Finding, Verdict, finding, graded, in_short, split_cure, worst
from tests.jobs.commission.values import checked, control, times, window

OK, UNKNOWN, WARN, FAIL = Verdict.OK, Verdict.UNKNOWN, Verdict.WARN, Verdict.FAIL


def verdicts(found: list[Finding]) -> dict[str, Verdict]:
    for each in found:
        assert each.found
        assert each.why
        assert (each.cure == "") or each.verdict is not OK
    return {each.key: each.verdict for each in found}


def test_the_gravest_verdict_counts() -> None:
    findings = [finding("a", "A", verdict, "f", why="w", cure="c") for verdict in (OK, UNKNOWN, WARN, OK)]
    assert worst(findings) is WARN
    assert worst([]) is UNKNOWN
    assert in_short(findings) == "1 warn, 1 unknown, 2 ok"
    assert [each.cure for each in findings] == ["", "c", "c", ""]


@given(st.floats(0, 10), st.floats(0, 10))
def test_a_larger_value_is_never_judged_more_kindly(one: float, other: float) -> None:
    order = list(Verdict)
    low, high = sorted((one, other))
    assert order.index(graded(low, 1, 3)) <= order.index(graded(high, 1, 3))


def test_a_message_is_split_at_its_cure() -> None:
    assert split_cure("no program. Cure: sudo apt install x") == ("no program", "sudo apt install x")
    assert split_cure("no program") == ("no program", "")


def counter(domain: str, package: int) -> CounterFact:
    return CounterFact(
        domain=domain,
        kind="package" if domain.startswith("pkg") else "dram",
        counted=True,
        package=package,
        path="/sys/x",
        range_j=262143.0,
        count_j=61e-6,
        max_power_w=330.0,
        sustained_w=165.0,
        to_wrap_j=1000.0,
    )


def facts(*domains: tuple[str, int], clocksource: str | None = "tsc") -> Facts:
    return Facts(
        sources=(), counters=tuple(counter(*each) for each in domains), ignored=(), clocksource=clocksource, checks=()
    )


def test_facts_of_a_good_node() -> None:
    environment = {"sockets": 2, "energy_filter": False, "hypervisor": False}
    assert set(verdicts(list(judge_facts(facts(("pkg0", 0), ("pkg1", 1)), environment))).values()) == {OK}


@pytest.mark.parametrize(
    ("environment", "clocksource", "key", "verdict"),
    [
        ({"sockets": 4}, "tsc", "counters", FAIL),
        ({"sockets": None}, "tsc", "counters", UNKNOWN),
        ({"sockets": 2, "energy_filter": True}, "tsc", "energy-filter", FAIL),
        ({"sockets": 2, "energy_filter": None}, "tsc", "energy-filter", UNKNOWN),
        ({"sockets": 2, "hypervisor": True}, "tsc", "bare-metal", FAIL),
        ({"sockets": 2}, "hpet", "clock", WARN),
        ({"sockets": 2}, None, "clock", UNKNOWN),
    ],
)
def test_facts_that_speak_against_a_node(
    environment: dict[str, object], clocksource: str | None, key: str, verdict: Verdict
) -> None:
    found = judge_facts(facts(("pkg0", 0), ("pkg1", 1), clocksource=clocksource), environment)
    assert verdicts(list(found))[key] is verdict


def idle(slope_w_per_s: float = 0.0, step_w: float = 0.0, others: float | None = 0.01) -> Idle:
    """Ten minutes at 100 W, drifting, with every second block of a minute higher."""
    points = tuple((t + 1.0, 100 + slope_w_per_s * t + step_w * (t // 60 % 2)) for t in range(600))
    measured = window({"pkg0": sum(p for _, p in points) / 600})
    trace = {"pkg0": points}
    return Idle(
        window=measured,
        steadiness=steadiness(measured, trace, 60.0),
        block_s=60.0,
        blocks=10,
        others_cores=others,
        temperature_begin_c=40.0,
        temperature_end_c=41.0,
        trace=trace,
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (idle(), (OK, OK, OK)),
        (idle(slope_w_per_s=5 / 600), (WARN, WARN, OK)),
        (idle(slope_w_per_s=-20 / 600), (FAIL, FAIL, OK)),
        (idle(step_w=4.0), (OK, WARN, OK)),
        (idle(step_w=20.0), (WARN, FAIL, OK)),
        (idle(others=0.3), (OK, OK, WARN)),
        (idle(others=None), (OK, OK, UNKNOWN)),
    ],
)
def test_idle(found: Idle, expected: tuple[Verdict, Verdict, Verdict]) -> None:
    assert tuple(verdicts(list(judge_idle(found))).values()) == expected


def test_an_idle_node_without_energy_fails_with_the_reason() -> None:
    measured = window({"pkg0": None}, reasons={"pkg0": "stood still"})
    found = Idle(
        window=measured,
        steadiness=steadiness(measured, {}, 60.0),
        block_s=60.0,
        blocks=0,
        others_cores=0.0,
        temperature_begin_c=None,
        temperature_end_c=None,
        trace={},
    )
    drift = next(judge_idle(found))
    assert (drift.verdict, drift.found) == (FAIL, "stood still")


@pytest.mark.parametrize(
    ("p99_us", "loaded", "verdict"),
    [(100, False, OK), (600, False, WARN), (6000, False, FAIL), (6000, True, WARN)],
)
def test_read_latency(p99_us: float, loaded: bool, verdict: Verdict) -> None:
    latency = Latency(source="powercap", whole=times(*[80] * 50, *[p99_us] * 50), single={}, window=times(200))
    assert judge_latency(latency, loaded=loaded).verdict is verdict


def test_latency_of_nothing_is_unknown() -> None:
    assert judge_latency(Latency(source="perf", whole=None, single={}, window=None)).verdict is UNKNOWN


def update(domain: str, period_us: float, reads: float = 40.0) -> Updates:
    return Updates(domain=domain, reads=4000, period=times(*[period_us] * 100), step_counts=900.0, reads_a_change=reads)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([update("pkg0", 1000), update("dram0", 1100)], OK),
        ([update("pkg0", 1000), update("dram0", 10_000)], WARN),
        ([update("pkg0", 1000, reads=1.2)], UNKNOWN),
        ([Updates(domain="pkg0", reads=9, period=None, step_counts=None, reads_a_change=None, reason="gone")], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_update_period(found: list[Updates], verdict: Verdict) -> None:
    assert judge_updates(found).verdict is verdict


def test_agreement_is_judged_by_the_tolerance_of_the_energy_core() -> None:
    good = window({"pkg0": 100.0}, checks=[checked({"pkg0": 60_006.0, "dram7": 1.0})])
    bad = window({"pkg0": 100.0}, checks=[checked({"pkg0": 90_000.0}, "pkg0: they differ. Cure: commission")])
    found = judge_agreement(good, good, "")
    assert (found.verdict, found.found.count("+0.0100%")) == (OK, 2)
    assert judge_agreement(good, bad, "").found == "pkg0: they differ"
    assert judge_agreement(good, bad, "").verdict is FAIL
    assert [each.difference for each in compared("idle", good)] == [pytest.approx(1e-4)]


def test_agreement_with_nobody_says_why() -> None:
    alone = window({"pkg0": 100.0})
    found = judge_agreement(alone, alone, "perf: no PMU. Cure: sudo modprobe rapl")
    assert (found.verdict, found.found, found.cure) == (UNKNOWN, "perf: no PMU", "sudo modprobe rapl")


def node(state: str, counters_w: float | None, *readings_w: int) -> NodePower:
    return NodePower(
        state=state, readings_w=readings_w, inlet_c=22.0, window=window({"pkg0": counters_w}), reason="no BMC"
    )


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([node("idle", 100.0, 190, 191), node("stress", 360.0, 450)], OK),
        ([node("idle", 100.0, 190), node("stress", 460.0, 450)], FAIL),
        ([node("idle", 100.4, 100)], OK),
        ([node("idle", None, 190)], UNKNOWN),
        ([node("idle", 100.0)], UNKNOWN),
    ],
)
def test_counters_claim_no_more_than_the_node_draws(found: list[NodePower], verdict: Verdict) -> None:
    assert judge_node_power(found).verdict is verdict


@given(st.floats(1, 400), st.integers(1, 2000))
def test_what_lies_above_the_node_never_passes(counters_w: float, node_w: int) -> None:
    found = judge_node_power([node("stress", counters_w, node_w)])
    assert (found.verdict is FAIL) == (counters_w > node_w + 1)


@pytest.mark.parametrize(
    ("quiet", "busy", "verdict", "word"),
    [
        ({"dram0": 6.0, "dram1": 5.5}, {"dram0": 20.0, "dram1": 19.0}, OK, "20.00 W loaded"),
        ({"dram0": 200.0, "dram1": 6.0}, {"dram0": 200.0, "dram1": 9.0}, FAIL, "200 W idle, outside"),
        ({"dram0": 6.0, "dram1": 1.5}, {"dram0": 20.0, "dram1": 19.0}, WARN, "4.0-fold idle"),
        ({"dram0": 6.0}, {"dram0": 6.0}, WARN, "does not rise"),
        ({"dram0": 60.0}, {"dram0": 95.0}, WARN, "more than its package"),
        ({"dram0": 0.0}, {"dram0": 20.0}, FAIL, "outside"),
        ({"dram0": 6.0}, {"dram0": None}, FAIL, "unavailable under load"),
        ({}, {}, UNKNOWN, "no DRAM counter"),
    ],
)
def test_dram(quiet: dict[str, float | None], busy: dict[str, float | None], verdict: Verdict, word: str) -> None:
    found = judge_memory(memory_power(window({"pkg0": 50.0, **quiet}), window({"pkg0": 90.0, **busy})))
    assert found.verdict is verdict
    assert word in found.found


@pytest.mark.parametrize(
    ("energies", "seconds", "expected"),
    [
        ([1000, 1001, 1002], [60, 60.1, 60.2], (OK, OK)),
        ([1000, 1020, 1040], [60, 60.1, 60.2], (WARN, OK)),
        ([1000, 1100, 1200], [60, 66, 72], (FAIL, FAIL)),
        ([None, None, None], [0, 0, 0], (UNKNOWN, UNKNOWN)),
        ([1000, None, None], [60, 0, 0], (UNKNOWN, UNKNOWN)),
        ([100, 200, 300], [0.3, 0.4, 0.5], (UNKNOWN, UNKNOWN)),
    ],
)
def test_repeatability(energies: list[float | None], seconds: list[float], expected: tuple[Verdict, Verdict]) -> None:
    runs = [control(energy, time, at) for at, (energy, time) in enumerate(zip(energies, seconds, strict=True))]
    assert tuple(verdicts(list(judge_repeatability(repeated(runs)))).values()) == expected


def test_a_control_that_breaks_off_is_no_missing_package() -> None:
    runs = [control(None, 0, at, "MeterError: the zone is gone") for at in range(3)]
    for each in judge_repeatability(repeated(runs)):
        assert (each.verdict, each.found) == (WARN, "MeterError: the zone is gone")
        assert "pip" not in each.cure


def stress(throttled: int | None) -> Stress:
    return Stress(
        window=window({"pkg0": 160.0}),
        crossings=(),
        loaded_cpus=4,
        utilisation=1.0,
        frequency_hz=2.9e9,
        throttle_events=throttled,
        power_limit_events=7,
        temperature=((0.0, 50.0), (10.0, 71.0)),
        trace={},
    )


@pytest.mark.parametrize(("throttled", "verdict"), [(0, OK), (3, WARN), (None, UNKNOWN)])
def test_cooling(throttled: int | None, verdict: Verdict) -> None:
    found = judge_cooling(stress(throttled), 8)
    assert found.verdict is verdict
    assert "4 of 8 CPUs" in found.found
    assert "71 °C" in found.found
