"""The node's own power sensor (BMC, DCMI) beside the counters: the only second sensor, and a coarse one.

It is asked while the node is idle and while it is loaded, never inside a window of its own. Whole watts, averaged over
an unknown time: it can show that the counters claim more than the node draws, and nothing finer.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.commission.bench import Bench
from jobs.commission.measured import Measured, measured
from jobs.commission.verdict import Finding, Verdict, finding, split_cure
from sipa.energy.dcmi import DcmiReading, DcmiSensor

ROUNDING_W = 1.0
"""Whole watts: the counters must claim more than this above the node's power before they are wrong."""

_ASKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePower:
    """The node's power in one state, and the counters' over the same time.

    Attributes:
        state: idle or stress.
        readings_w: every answer of the BMC that was a number.
        inlet_c: temperature of the air that goes in, the last that was read.
        window: the counters meanwhile.
        reason: why there is no answer; empty if there is one.
    """

    state: str
    readings_w: tuple[int, ...]
    inlet_c: float | None
    window: Measured | None
    reason: str = ""

    @property
    def node_w(self) -> float | None:
        """Mean of the answers."""
        return statistics.fmean(self.readings_w) if self.readings_w else None

    @property
    def counters_w(self) -> float | None:
        """Packages and DRAM."""
        return self.window.power_w if self.window is not None else None

    @property
    def rest_w(self) -> float | None:
        """What the node draws besides packages and DRAM: fans, disks, network, losses of the power supply."""
        if self.node_w is None or self.counters_w is None:
            return None
        return self.node_w - self.counters_w


def measure_node_power(bench: Bench, state: str, sensor: DcmiSensor | str, compare_s: float) -> NodePower:
    """Ask the BMC a few times.

    Args:
        bench: what to measure with.
        state: idle or stress.
        sensor: the BMC, or why there is none.
        compare_s: over how long.
    """
    if isinstance(sensor, str):
        return NodePower(state=state, readings_w=(), inlet_c=None, window=None, reason=sensor)
    found: list[DcmiReading] = []
    bench.say(None, "asking the BMC")
    with bench.meter.window(f"node power {state}") as window:
        for _ in range(_ASKED):
            bench.effects.sleep(compare_s / _ASKED)
            found.append(sensor.read())
    readings = tuple(each.power_w for each in found if each.power_w is not None)
    inlets = [each.inlet_c for each in found if each.inlet_c is not None]
    reasons = dict.fromkeys(each.reason for each in found if each.power_w is None and each.reason)
    return NodePower(
        state=state,
        readings_w=readings,
        inlet_c=inlets[-1] if inlets else None,
        window=measured(window.energy),
        reason="" if readings else "; ".join(reasons),
    )


def judge_node_power(found: Sequence[NodePower]) -> Finding:
    """Whether the counters claim no more than the node draws."""
    title = "Counters below node power"
    why = "packages and DRAM are part of the node: if they draw more than it, a unit or a domain is wrong"
    known = [each for each in found if each.rest_w is not None]
    if not known:
        reason, cure = split_cure(next((each.reason for each in found if each.reason), "the BMC was not asked"))
        return finding("node-power", title, Verdict.UNKNOWN, reason, why=why, cure=cure)
    above = [each for each in known if each.rest_w is not None and each.rest_w < -ROUNDING_W]
    text = "; ".join(_in_words(each) for each in known)
    verdict = Verdict.FAIL if above else Verdict.OK
    cure = "do not measure here until it is understood: compare the node with its twin, and with a wall meter"
    return finding("node-power", title, verdict, text, why=why, cure=cure)


def _in_words(each: NodePower) -> str:
    return f"{each.state}: counters {each.counters_w:.1f} W, node {each.node_w:.0f} W, rest {each.rest_w:.1f} W"
