"""What controls say about nodes and sessions: bands, the reader, the bridge."""

import json
import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.control import OWN_BAND, PEER_BAND, ControlResult, bridge, judge, load
from sipa.errors import ResultsError
from sipa.results.store import Store


def control(energy_j: float | None, number: int = 0, **changes: Any) -> ControlResult:
    fields: dict[str, Any] = {
        "control_id": "v1 net+loop 60 s x 96",
        "node": "n1",
        "session_id": "s1",
        "sequence": number,
        "after_block": number,
        "environment_id": "e1",
        "started_at": f"2026-01-01T12:{number:02d}:00+00:00",
        "duration_s": 60.0,
        "energy_total_j": energy_j,
        "energy_pkg_j": energy_j,
        "temperature_end_c": 60.0,
    }
    return ControlResult(**fields | changes)


NOW = 50
energies = st.floats(1.0, 1e6)


class TestOwnBand:
    @pytest.mark.parametrize("earlier", [[], [100.0]])
    def test_too_few_make_no_band(self, earlier: list[float]) -> None:
        verdict = judge(control(500.0, NOW), earlier=[control(e, n) for n, e in enumerate(earlier)], peers=())
        assert not verdict.outside
        assert not verdict.doubtful
        assert verdict.text == "too few other controls to compare with yet"

    @given(energies, st.floats(-0.2, 0.2))
    def test_the_band(self, middle: float, off: float) -> None:
        earlier = [control(middle, n) for n in range(3)]
        verdict = judge(control(middle * (1 + off), NOW), earlier=earlier, peers=())
        if not math.isclose(abs(off), OWN_BAND, rel_tol=1e-9):
            assert verdict.outside == (abs(off) > OWN_BAND)
        assert verdict.doubtful == verdict.outside
        assert "3 earlier controls of this node" in verdict.text
        assert "band 3%" in verdict.text

    def test_what_to_do_is_said(self) -> None:
        verdict = judge(control(110.0, NOW), earlier=[control(100.0, n) for n in range(2)], peers=())
        assert verdict.text.startswith("110 J, 10.0% above the median 100 J of 2 earlier")
        assert "sipa-cluster doctor --node" in verdict.cure

    @pytest.mark.parametrize(
        "changes", [{"node": "n2"}, {"control_id": "v2"}, {"environment_id": "e2"}, {"energy_total_j": None}]
    )
    def test_only_the_same_work_on_the_same_node_as_it_is_counts(self, changes: dict[str, Any]) -> None:
        earlier = [control(100.0, n, **changes) for n in range(5)]
        assert not judge(control(200.0, NOW), earlier=earlier, peers=()).outside

    @given(st.integers(1, 20))
    def test_bad_ones_never_become_the_reference(self, bad: int) -> None:
        earlier = [control(100.0, 0), control(101.0, 1), *(control(120.0, 2 + n) for n in range(bad))]
        assert judge(control(120.0, NOW), earlier=earlier, peers=()).outside
        assert not judge(control(100.0, NOW), earlier=earlier, peers=()).outside

    def test_it_is_not_compared_with_itself(self) -> None:
        result = control(200.0, NOW)
        assert "2 earlier" in judge(result, earlier=[control(100.0, 0), control(100.0, 1), result], peers=()).text


class TestPeerBand:
    def peers(self, *energies_j: float) -> list[ControlResult]:
        return [control(energy, node=f"p{n}") for n, energy in enumerate(energies_j)]

    def test_two_nodes_make_no_band(self) -> None:
        assert not judge(control(200.0), earlier=(), peers=self.peers(100.0)).outside

    @given(energies, st.floats(1 + 2 * PEER_BAND, 10))
    def test_of_three_the_odd_one_is_outside_and_no_other(self, good: float, factor: float) -> None:
        odd, others = good * factor, self.peers(good, good)
        assert judge(control(odd), earlier=(), peers=others).outside
        assert not judge(control(good), earlier=(), peers=self.peers(good, odd)).outside

    def test_its_own_last_result_is_no_peer(self) -> None:
        verdict = judge(control(100.0), earlier=(), peers=[control(100.0), *self.peers(100.0, 100.0)])
        assert "3 nodes of this CPU model" in verdict.text

    def test_other_work_is_no_peer(self) -> None:
        peers = [control(100.0, node=f"p{n}", control_id="v1 loop 60 s x 8") for n in range(4)]
        assert not judge(control(900.0), earlier=(), peers=peers).outside


def test_no_joule_at_all_is_no_energy() -> None:
    """Counters that stood still for less than a second."""
    still = [control(0.0, n) for n in range(3)]
    verdict = judge(control(0.0, NOW), earlier=still, peers=[control(0.0, n, node=f"n{n + 2}") for n in range(3)])
    assert (verdict.outside, verdict.doubtful) == (False, True)
    assert judge(control(100.0, NOW), earlier=still, peers=()).text == "too few other controls to compare with yet"


def test_no_energy_is_doubtful_and_never_outside() -> None:
    verdict = judge(control(None, reason="zone vanished"), earlier=[control(1.0, 1), control(1.0, 2)], peers=())
    assert (verdict.outside, verdict.doubtful) == (False, True)
    assert verdict.text == "no energy: zone vanished"


class TestLoad:
    def test_what_the_store_keeps_comes_back_oldest_first(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "sweep")
        kept = [control(1.0, 3), control(2.0, 1, node="a.example.org"), control(None, 2, reason="°")]
        for each in kept:
            store.keep_control(each)
        expected = sorted(kept, key=lambda each: each.started_at)
        assert load(tmp_path / "sweep") == load(str(tmp_path / "sweep/controls")) == store.controls() == expected

    def test_a_store_without_controls_has_none(self, tmp_path: Path) -> None:
        assert Store(tmp_path).controls() == []

    def test_no_folder_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ResultsError, match="control_s"):
            load(tmp_path / "nowhere")

    @pytest.mark.parametrize("content", ["", "[]", json.dumps({**asdict(control(1.0)), "energy_total_j": "much"})])
    def test_a_file_that_is_none_is_named(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "odd.json").write_text(content)
        with pytest.raises(ResultsError, match=r"odd\.json: not a control.*Move the file away"):
            load(tmp_path)


def session(*energies_j: float | None, **changes: Any) -> list[ControlResult]:
    return [control(energy, number, **changes) for number, energy in enumerate(energies_j)]


class TestBridge:
    def test_the_ratio_and_its_interval_by_hand(self) -> None:
        """Pooled two-sample t of the logarithms: s = ln 1.01, df = 2, t = 4.3027."""
        found = bridge(session(100.0, 100.0 * 1.01**2), session(110.0, 110.0 * 1.01**2, session_id="s2"))
        margin = 4.302652729911275 * math.sqrt(2) * math.log(1.01)
        assert found.ratio == pytest.approx(1.1)
        assert found.low == pytest.approx(1.1 * math.exp(-margin))
        assert found.high == pytest.approx(1.1 * math.exp(margin))
        assert (found.nodes, found.counts, found.remark) == (("n1",), (2, 2), "")

    def test_one_control_each_has_a_ratio_and_no_interval(self) -> None:
        found = bridge(session(100.0), session(102.0))
        assert found.ratio == pytest.approx(1.02)
        assert (found.low, found.high) == (None, None)
        assert "no interval" in found.remark

    def test_each_node_is_compared_with_itself(self) -> None:
        """A thrifty node that is in one session only says nothing; one in both counts though the nodes differ."""
        first = [*session(100.0, 100.0), *session(50.0, 50.0, node="n2"), *session(1.0, node="gone")]
        later = [*session(110.0), *session(55.0, node="n2", environment_id="e2"), *session(1.0, node="new")]
        found = bridge(first, later)
        assert found.ratio == pytest.approx(1.1)
        assert (found.nodes, found.counts, found.environment_changed) == (("n1", "n2"), (4, 2), ("n2",))
        assert "another environment on n2" in found.remark

    @pytest.mark.parametrize(
        "later", [[], session(None), session(100.0, node="n2"), session(100.0, control_id="v2 loop")]
    )
    def test_nothing_in_common_is_no_number(self, later: list[ControlResult]) -> None:
        found = bridge(session(100.0, 101.0), later)
        assert (found.ratio, found.low, found.high, found.nodes) == (None, None, None, ())
        assert found.remark

    @given(st.lists(energies, min_size=1, max_size=5), st.lists(energies, min_size=1, max_size=5))
    def test_the_other_way_round_is_the_reciprocal(self, one: list[float], other: list[float]) -> None:
        there, back = bridge(session(*one), session(*other)), bridge(session(*other), session(*one))
        assert there.ratio is not None
        assert back.ratio == pytest.approx(1 / there.ratio)
        if there.low is not None and there.high is not None:
            assert back.high == pytest.approx(1 / there.low)
            assert there.low <= there.ratio <= there.high

    def test_the_interval_covers_as_often_as_it_says(self) -> None:
        """1,000 pairs of sessions on three nodes, 1 % scatter, a true ratio of 1.04."""
        chance = random.Random(20241207)
        hits = 0
        for _ in range(1000):
            first, later = (
                [
                    control(base * shift * math.exp(chance.gauss(0, 0.01)), number, node=node)
                    for node, base in (("a", 90.0), ("b", 100.0), ("c", 107.0))
                    for number in range(3)
                ]
                for shift in (1.0, 1.04)
            )
            found = bridge(first, later)
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= 1.04 <= found.high
        assert 925 <= hits <= 975
