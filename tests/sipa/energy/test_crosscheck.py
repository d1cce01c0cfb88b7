"""Two sources that read one register: what may differ, and what may not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.energy import DomainEnergy, DomainKind, EnergyWindow, Flag, MeterKind, Quality
from sipa.energy.crosscheck import DRAM_RELATIVE, checked, disagreements, tolerance_j
from sipa.energy.perf_event import STEP_NJ, TRUSTED_UJ
from sipa.energy.readings import Domain, Mark, Track
from tests.sipa.energy.simulated_counter import DRAM_RANGE_UJ, PACKAGE_RANGE_UJ

SECOND = 10**9
NAMES = (MeterKind.POWERCAP, MeterKind.PERF)


def powercap(kind: DomainKind, range_uj: int | None = None) -> Domain:
    default = DRAM_RANGE_UJ if kind is DomainKind.DRAM else PACKAGE_RANGE_UJ
    return Domain(id=f"{kind}0", kind=kind, package=0, range_uj=range_uj or default, max_power_w=330, path="/powercap")


def perf(kind: DomainKind) -> Domain:
    return Domain(
        id=f"{kind}0",
        kind=kind,
        package=0,
        range_uj=4294967295999999,
        max_power_w=330,
        path="/perf",
        trusted_uj=TRUSTED_UJ,
        unit_nj=1000,
        step_nj=STEP_NJ[kind],
    )


def measured(domain: Domain, joules: float | None) -> DomainEnergy:
    if joules is None:
        return DomainEnergy(domain=domain, joules=None, quality=Quality.UNAVAILABLE, reason="broken")
    return DomainEnergy(domain=domain, joules=joules, quality=Quality.MEASURED)


def compare(
    kind: DomainKind, one: float | None, other: float | None, duration_ns: int = 60 * SECOND, skew_ns: int = 0
) -> tuple[str, ...]:
    ours, theirs = measured(powercap(kind), one), measured(perf(kind), other)
    return disagreements(NAMES, {"x0": ours}, {"x0": theirs}, duration_ns, skew_ns)


@given(
    counts=st.integers(0, 2**32),
    kind=st.sampled_from([DomainKind.PACKAGE, DomainKind.DRAM]),
    duration_ns=st.integers(1, 4000 * SECOND),
    at_edges=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    skew_ns=st.integers(0, 5_000_000),
)
def test_one_register_read_twice_never_disagrees(
    counts: int, kind: DomainKind, duration_ns: int, at_edges: tuple[float, float], skew_ns: int
) -> None:
    """Units that differ by design, one update at each edge, and the time between the two reads."""
    unit_j, true_j = (15300e-9, 2**-16) if kind is DomainKind.DRAM else (61035e-9, 2**-14)
    power_w = min(counts * true_j * 1e9 / duration_ns, 330)
    late_j = power_w * (at_edges[0] * skew_ns + (at_edges[1] * 2 - 1) * 2_000_000) / 1e9
    assert compare(kind, counts * unit_j, max(0.0, counts * true_j + late_j), duration_ns, skew_ns) == ()


@pytest.mark.parametrize("kind", [DomainKind.PACKAGE, DomainKind.DRAM])
@pytest.mark.parametrize("error_j", [-262143, -100, 100, 262143])
def test_a_wrap_or_a_percent_is_found(kind: DomainKind, error_j: float) -> None:
    [line] = compare(kind, 6000, 6000 + error_j)
    assert line.startswith("x0: powercap says 6000 J and perf ")
    assert f"which differ by {abs(error_j):.6g} J where " in line
    assert "one of them counts wrongly" in line


@pytest.mark.parametrize(("difference", "agrees"), [(0.0019, True), (0.0025, False)])
def test_packages_may_differ_by_two_thousandths(difference: float, agrees: bool) -> None:
    assert (compare(DomainKind.PACKAGE, 9000, 9000 * (1 - difference)) == ()) == agrees


def test_dram_may_differ_by_its_units_where_only_one_takes_powercaps() -> None:
    ratio = 1 / 1.0027 - 0.0015
    assert compare(DomainKind.DRAM, 1000, 1000 * ratio) == ()
    # From Sapphire Rapids on both take the package's unit, and there is nothing to allow for.
    modern = powercap(DomainKind.DRAM, PACKAGE_RANGE_UJ)
    one, other = measured(modern, 1000.0), measured(perf(DomainKind.DRAM), 1000 * ratio)
    assert len(disagreements(NAMES, {"dram0": one}, {"dram0": other}, 60 * SECOND)) == 1
    assert pytest.approx(15300 / (2**-16 * 1e9) - 1, abs=1e-5) == DRAM_RELATIVE


def test_tolerance_has_its_four_parts() -> None:
    one, other = measured(powercap(DomainKind.PACKAGE), 600.0), measured(perf(DomainKind.PACKAGE), 590.0)
    steps_j = 2 * (61035 + 61036) / 1e9
    assert tolerance_j(one, other, 6 * SECOND, 0) == pytest.approx(0.002 * 600 + 100 * 2e-3 + steps_j)
    assert tolerance_j(one, other, 6 * SECOND, 10**6) == pytest.approx(0.002 * 600 + 100 * 3e-3 + steps_j)
    # In a window of few updates the mean says nothing of the power at its edges.
    assert tolerance_j(one, other, SECOND // 100, 0) == pytest.approx(0.002 * 600 + 330 * 2e-3 + steps_j)


@pytest.mark.parametrize(("one", "other"), [(None, 5.0), (5.0, None), (None, None)])
def test_what_is_unavailable_is_not_compared(one: float | None, other: float | None) -> None:
    assert compare(DomainKind.PACKAGE, one, other) == ()


def test_what_only_one_source_has_is_not_compared() -> None:
    ours = {"pkg0": measured(powercap(DomainKind.PACKAGE), 5.0), "psys": measured(powercap(DomainKind.PSYS), 9.0)}
    theirs = {"pkg0": measured(perf(DomainKind.PACKAGE), 5.0), "dram0": measured(perf(DomainKind.DRAM), 1.0)}
    assert disagreements(NAMES, ours, theirs, SECOND) == ()


def mark(begin_ns: int, end_ns: int, counts: int) -> Mark:
    return Mark(begin_ns=begin_ns, end_ns=end_ns, tracks={"package0": Track(counts=counts)})


def test_a_check_of_a_window_reckons_with_the_time_between_the_reads() -> None:
    of = perf(DomainKind.PACKAGE)
    ours = measured(powercap(DomainKind.PACKAGE), 60.0)
    window = EnergyWindow(
        name="w",
        source=MeterKind.POWERCAP,
        begin_ns=30,
        end_ns=SECOND,
        by_domain={"package0": replace(ours, joules=60.0)},
        edges=(mark(20, 30, 0), mark(SECOND, SECOND + 10, 0)),
    )
    # 60 W for the 50 ms before the window in which the check had been read already.
    begin, end = mark(-50_000_000, -49_999_990, 0), mark(SECOND + 20, SECOND + 30, 63_000_000)
    found = checked(window, MeterKind.PERF, [of], begin, end)
    assert (found.source, found.package_j, found.dram_j, found.disagreements) == ("perf", 63.0, None, ())
    wrong = checked(window, MeterKind.PERF, [of], mark(0, 10, 0), end)
    assert len(wrong.disagreements) == 1
    flagged = replace(window, checks=(wrong,))
    assert flagged.flags == (Flag.CROSS_CHECK,)
    assert flagged.reason == wrong.disagreements[0]
    assert "perf DISAGREES" in str(flagged)
    assert flagged.total_j == 60.0
