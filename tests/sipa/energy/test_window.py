"""What may be added up, and what a total says when a part is missing."""

from dataclasses import asdict, replace
from itertools import starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.energy import (
    Domain,
    DomainEnergy,
    DomainKind,
    EnergyWindow,
    Estimate,
    Flag,
    MeterKind,
    Quality,
    sum_j,
    sum_uncertainty_j,
)


def part(name: str, kind: DomainKind, package: int | None, joules: float | None) -> DomainEnergy:
    domain = Domain(id=name, kind=kind, package=package, range_uj=10**9, max_power_w=330, path=f"/{name}")
    if joules is None:
        return DomainEnergy(domain=domain, joules=None, quality=Quality.UNAVAILABLE, reason=f"/{name}: broken")
    return DomainEnergy(domain=domain, joules=joules, quality=Quality.MEASURED, wraps=1, uncertainty_j=0.5)


def window(*parts: DomainEnergy, estimate: Estimate | None = None) -> EnergyWindow:
    return EnergyWindow(
        name="inference",
        source=MeterKind.POWERCAP,
        begin_ns=10**9,
        end_ns=3 * 10**9,
        by_domain={each.domain.id: each for each in parts},
        estimate=estimate,
    )


SERVER = list(
    starmap(
        part,
        [
            ("pkg0", DomainKind.PACKAGE, 0, 100.0),
            ("pkg1", DomainKind.PACKAGE, 1, 90.0),
            ("dram0", DomainKind.DRAM, 0, 10.0),
            ("dram1", DomainKind.DRAM, 1, 9.0),
            ("core0", DomainKind.CORE, 0, 70.0),
            ("uncore0", DomainKind.UNCORE, 0, 20.0),
            ("psys", DomainKind.PSYS, None, 300.0),
        ],
    )
)


def test_totals_sum_packages_and_dram_and_nothing_else() -> None:
    found = window(*SERVER)
    assert (found.package_j, found.dram_j, found.total_j) == (190.0, 19.0, 209.0)
    assert found.summed == ("pkg0", "pkg1", "dram0", "dram1")
    assert (found.duration_s, found.power_w) == (2.0, 104.5)
    assert (found.wraps, found.quality, found.flags, found.reason) == (4, Quality.MEASURED, (), None)
    assert sum_j(found.parts(DomainKind.PACKAGE, 1)) == 90.0
    assert sum_uncertainty_j(found.parts(DomainKind.PACKAGE)) == 1.0


@given(missing=st.sets(st.sampled_from([each.domain.id for each in SERVER])))
def test_a_total_is_none_exactly_if_a_part_of_it_is(missing: set[str]) -> None:
    found = window(
        *(
            part(each.domain.id, each.domain.kind, each.domain.package, None) if each.domain.id in missing else each
            for each in SERVER
        )
    )
    lost = missing & set(found.summed)
    assert (found.total_j is None) == bool(lost)
    assert (found.package_j is None) == bool(lost & {"pkg0", "pkg1"})
    assert (found.dram_j is None) == bool(lost & {"dram0", "dram1"})
    assert (found.quality is Quality.UNAVAILABLE) == bool(lost)
    assert set((found.reason or "").split("\n")) - {""} == {f"/{each}: broken" for each in lost}
    assert found.summed == ("pkg0", "pkg1", "dram0", "dram1")


def test_a_machine_without_a_dram_counter_has_a_total_without_dram_and_no_zero() -> None:
    found = window(SERVER[0])
    assert (found.package_j, found.dram_j, found.total_j) == (100.0, None, 100.0)
    assert found.summed == ("pkg0",)


def test_an_estimate_is_in_no_total() -> None:
    estimate = Estimate(energy_j=50.0, power_w=25.0, utilisation=0.1, idle_w=20, max_w=70)
    found = window(estimate=estimate)
    assert (found.estimated_j, found.estimated_power_w, found.quality) == (50.0, 25.0, Quality.ESTIMATED)
    assert (found.total_j, found.package_j, found.power_w, found.summed) == (None, None, None, ())
    assert "ESTIMATED" in str(found)


def test_flags_and_reasons_of_parts_reach_the_window() -> None:
    odd = replace(SERVER[0], flags=(Flag.SHORT, Flag.IMPLAUSIBLE), reason="/pkg0: jumped")
    inside = replace(SERVER[4], flags=(Flag.READ_FAILED,), reason="/core0: not summed")
    found = window(odd, SERVER[1], inside)
    assert found.flags == (Flag.IMPLAUSIBLE, Flag.SHORT)
    assert found.reason == "/pkg0: jumped"


def test_a_window_without_anything_is_unavailable() -> None:
    assert (window().quality, window().total_j, window().estimated_j) == (Quality.UNAVAILABLE, None, None)


def test_text_and_plain_data() -> None:
    assert str(window(*SERVER[:2])) == "inference: 190 J in 2.000 s (pkg0 100 J, pkg1 90 J)"
    assert "unavailable" in str(window(part("pkg0", DomainKind.PACKAGE, 0, None)))
    assert asdict(window(SERVER[0]))["by_domain"]["pkg0"]["joules"] == 100.0


@pytest.mark.parametrize("kind", DomainKind)
def test_only_packages_and_dram_count(kind: DomainKind) -> None:
    assert kind.counted == (kind in {DomainKind.PACKAGE, DomainKind.DRAM})


def test_a_domain_is_short_in_a_notebook() -> None:
    assert repr(part("pkg0", DomainKind.PACKAGE, 0, 100.0)) == "<pkg0 100 J ± 0.5 J, measured>"
    assert repr(part("dram0", DomainKind.DRAM, 0, None)) == "<dram0 unavailable>"
