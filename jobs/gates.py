"""Every gate in one place: what makes a row doubtful, and whether it makes the trial fail where the spec says "refuse".

Refused are the gates that say that this attempt was disturbed or that its numbers cannot be right: foreign CPU time,
thermal throttling, a node that did not cool down, a warm-up that was not steady, meters that contradict each other, and
RAPL that is noised on purpose. Four are only ever flags. Programs that ran in an idle window spoil the net energy and
not the gross. A node that has stopped cooling is as cool as it gets. A
server at full load runs at its power limit all the time, by design: to refuse that is to refuse the load that is
measured. And the BMC's power is of another moment than the window (right after it, averaged over seconds), so RAPL
above it is a reason to look, not a proof. Knobs are checked before the trial begins and refused whatever the spec
says (see `jobs.protocol`): such a row would be of another experiment than the file describes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.cooldown import CoolDown
from sipa.errors import GateTripped
from sipa.spec.model import Gates, MeasurementSpec
from sipa.trial import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What gates look at once a trial has been measured.

    Attributes:
        row: the trial's, as far as it is known.
        environment: the host's fingerprint.
        unsteady: what still changed when the warm-up ended.
        disagreements: of the meters in the inference window, in words.
        idle_foreign_cores: CPU time of everything on the machine in each idle window, in cores; None where unreadable.
    """

    row: Row
    environment: Mapping[str, Any]
    unsteady: str | None = None
    disagreements: Sequence[str] = ()
    idle_foreign_cores: Sequence[float | None] = ()


def before_trial(measurement: MeasurementSpec, cooldown: CoolDown, node: str) -> list[str]:
    """The gates that trip before a trial is run, each `name: detail`: flags of its row.

    Raises:
        GateTripped: one did that the spec refuses.
    """
    return [*_judged(measurement, list(_cooldown(measurement, cooldown)), node), *_settled(cooldown)]


def after_trial(measurement: MeasurementSpec, seen: Observed) -> list[str]:
    """The gates that tripped in a trial, each `name: detail`: flags of its row.

    Raises:
        GateTripped: one did that the spec refuses.
    """
    doubtful = [
        *_foreign(measurement.max_foreign_cores, seen.row),
        *_throttling(seen.row),
        *([f"warm-up: {seen.unsteady}"] if seen.unsteady else []),
        *(f"cross-check: {each}" for each in seen.disagreements),
        *_energy_filter(seen),
    ]
    noted = [*_node_power(seen.row), *_power_limit(seen.row), *_idle(measurement.max_foreign_cores, seen)]
    return [*_judged(measurement, doubtful, seen.row["node"]), *noted]


def _judged(measurement: MeasurementSpec, doubtful: list[str], node: str) -> list[str]:
    if doubtful and measurement.gates is Gates.REFUSE:
        raise GateTripped(
            f"{'; '.join(doubtful)}. Remove the cause on {node} (sipa-cluster doctor --node shows more), or set "
            "measurement.gates = 'flag' to keep such rows"
        )
    return doubtful


def _foreign(limit: float, row: Row) -> Iterator[str]:
    foreign = row.get("foreign_cores")
    if foreign is None:
        yield "foreign CPU: could not be read"
    elif foreign > limit and not math.isclose(foreign, limit):
        ray = row.get("foreign_ray_cpu_s")
        share = f", {ray / row['window_s']:.2g} of them Ray's" if ray else ""
        yield (
            f"foreign CPU: other processes used {foreign:.3g} cores during the window{share} "
            f"(measurement.max_foreign_cores = {limit:g})"
        )


def _idle(limit: float, seen: Observed) -> Iterator[str]:
    """A trial that is measured well is not thrown away for what came before or after it: net alone suffers."""
    most = max((each for each in seen.idle_foreign_cores if each is not None), default=0.0)
    if most > limit and seen.row.get("energy_net_j") is not None:
        yield (
            f"idle: programs used {most:.3g} cores in an idle window (measurement.max_foreign_cores = {limit:g}), so "
            "the idle power is too high and energy_net_j too low"
        )


def _throttling(row: Row) -> Iterator[str]:
    if events := row.get("throttle_events"):
        yield f"throttling: the processor was too hot and slowed itself down {events} times during the window"


def _power_limit(row: Row) -> Iterator[str]:
    if events := row.get("power_limit_events"):
        yield (
            f"power limit: the packages hit their power limit {events} times during the window; "
            "times and energies are of a processor at its limit (PL1 or PL2)"
        )


def _cooldown(measurement: MeasurementSpec, cooldown: CoolDown) -> Iterator[str]:
    if cooldown.timed_out:
        yield (
            f"cool-down: the packages were still at {cooldown.temperature_c:g} °C after {cooldown.waited_s:.0f} s, "
            f"more than {cooldown.limit_c:g} °C (measurement.cooldown_within_c = {measurement.cooldown_within_c:g}, "
            f"cooldown_timeout_s = {measurement.cooldown_timeout_s:g})"
        )


def _settled(cooldown: CoolDown) -> Iterator[str]:
    """Cooler it does not get, so refusing would refuse every further trial."""
    if cooldown.settled:
        yield (
            f"cool-down: the idle node settled at {cooldown.temperature_c:g} °C, above the {cooldown.limit_c:g} °C "
            "that were waited for; later trials wait for the new temperature"
        )


def _node_power(row: Row) -> Iterator[str]:
    """RAPL sees a part of the node, so its power must be below the whole node's."""
    rapl_w, node_w = row.get("power_total_w"), row.get("power_node_dcmi_w")
    if rapl_w is not None and node_w is not None and rapl_w >= node_w:
        yield (
            f"node power: packages and DRAM drew {rapl_w:.1f} W by {row['energy_source']}, not less than the whole "
            f"node's {node_w:g} W by its BMC (whole watts, averaged over seconds by the BMC itself)"
        )


def _energy_filter(seen: Observed) -> Iterator[str]:
    measured = seen.row.get("energy_total_j") is not None
    if measured and seen.environment.get("energy_filter") is True:
        yield (
            "energy filter: the processor adds noise to its energy counters (MSR 0xBC, on while SGX is). Switch SGX "
            "off in the firmware, or use windows of many seconds and many repetitions"
        )
