"""Which gate trips when, in which words, and which of them refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cooldown import CoolDown
from jobs.gates import Observed, after_trial, before_trial
from sipa.errors import GateTripped
from sipa.spec.model import Gates
from tests.jobs.orders import measurement

QUIET: dict[str, Any] = {
    "node": "n1",
    "window_s": 10.0,
    "energy_source": "powercap",
    "energy_total_j": 3000.0,
    "power_total_w": 300.0,
    "foreign_cores": 0.01,
    "foreign_ray_cpu_s": 0.0,
    "throttle_events": 0,
    "power_limit_events": 0,
    "power_node_dcmi_w": 420.0,
}
LIMITS = {"max_foreign_cores": 0.05}

DOUBTFUL: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "foreign": ({"foreign_cores": 0.2}, {}, "foreign CPU: other processes used 0.2 cores"),
    "foreign unknown": ({"foreign_cores": None}, {}, "foreign CPU: could not be read"),
    "too hot": ({"throttle_events": 4}, {}, "throttling: the processor was too hot and slowed itself down 4 times"),
    "not warm": ({}, {"unsteady": "batch times still changed by 9%"}, "warm-up: batch times still changed by 9%"),
    "meters differ": ({}, {"disagreements": ("pkg0: 5 J and 6 J",)}, "cross-check: pkg0: 5 J and 6 J"),
    "filtered": ({}, {"environment": {"energy_filter": True}}, "energy filter: the processor adds noise"),
}
REMARKS: dict[str, tuple[dict[str, Any], str]] = {
    "at its limit": ({"power_limit_events": 7}, "power limit: the packages hit their power limit 7 times"),
    "above the node": (
        {"power_node_dcmi_w": 300.0},
        "node power: packages and DRAM drew 300.0 W by powercap, not less",
    ),
}


def after(gates: Gates = Gates.FLAG, *, row: dict[str, Any] | None = None, **seen: Any) -> list[str]:
    observed = Observed(**{"environment": {}, **seen, "row": {**QUIET, **(row or {})}})
    return after_trial(measurement(gates=gates, **LIMITS), observed)


@pytest.mark.parametrize("gates", Gates)
def test_programs_in_an_idle_window_are_told_and_never_refused(gates: Gates) -> None:
    net = {"energy_net_j": 2000.0}
    (flag,) = after(gates, row=net, idle_foreign_cores=(0.01, None, 1.3))
    assert flag.startswith("idle: programs used 1.3 cores in an idle window")
    assert after(gates, row=net, idle_foreign_cores=(0.01, None)) == after(gates, idle_foreign_cores=(1.3,)) == []


@pytest.mark.parametrize("gates", Gates)
def test_a_quiet_trial_trips_nothing(gates: Gates) -> None:
    assert after(gates) == []
    nothing_known = dict.fromkeys(["throttle_events", "power_limit_events", "power_node_dcmi_w"])
    assert after(gates, row=nothing_known, environment={"energy_filter": None}) == []


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_disturbed_trial_is_flagged_or_refused(name: str) -> None:
    row, seen, words = DOUBTFUL[name]
    flags = after(row=row, **seen)
    assert len(flags) == 1
    assert flags[0].startswith(words)
    with pytest.raises(GateTripped, match=words.split(":", maxsplit=1)[0]) as refused:
        after(Gates.REFUSE, row=row, **seen)
    assert "set measurement.gates = 'flag'" in str(refused.value)


@pytest.mark.parametrize("gates", Gates)
@pytest.mark.parametrize("name", REMARKS)
def test_what_is_normal_or_no_proof_is_only_ever_flagged(name: str, gates: Gates) -> None:
    row, words = REMARKS[name]
    flags = after(gates, row=row)
    assert len(flags) == 1
    assert flags[0].startswith(words)


def test_every_reason_stands_in_the_refusal() -> None:
    with pytest.raises(GateTripped, match=r"foreign CPU.*; throttling.*n1"):
        after(Gates.REFUSE, row={"foreign_cores": 1.0, "throttle_events": 1})


@given(st.floats(0, 64), st.floats(0, 64))
def test_foreign_time_trips_above_its_limit_only(foreign: float, limit: float) -> None:
    asked = measurement(max_foreign_cores=limit)
    flags = after_trial(asked, Observed(row={**QUIET, "foreign_cores": foreign}, environment={}))
    assert bool(flags) <= (foreign > limit)
    assert bool(flags) or foreign <= limit * (1 + 1e-8)


def test_rays_share_is_named() -> None:
    flags = after(row={"foreign_cores": 0.3, "foreign_ray_cpu_s": 2.0})
    assert "used 0.3 cores during the window, 0.2 of them Ray's" in flags[0]


def test_an_estimate_is_not_filtered_by_the_processor() -> None:
    assert after(row={"energy_total_j": None}, environment={"energy_filter": True}) == []


WARM = CoolDown(waited_s=300.0, temperature_c=61.0, limit_c=48.5, timed_out=True)
COOL = CoolDown(waited_s=12.0, temperature_c=48.0, limit_c=48.5)


def test_a_node_that_did_not_cool_down_is_flagged_or_refused_before_it_measures() -> None:
    asked = measurement(cooldown_timeout_s=300.0)
    (flag,) = before_trial(asked, WARM, "n1")
    assert flag.startswith("cool-down: the packages were still at 61 °C after 300 s, more than 48.5 °C")
    assert before_trial(asked, COOL, "n1") == []
    assert before_trial(measurement(gates=Gates.REFUSE), COOL, "n1") == []
    with pytest.raises(GateTripped, match="cool-down"):
        before_trial(measurement(gates=Gates.REFUSE), WARM, "n1")
