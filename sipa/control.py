"""The control workload: always the same work, so that nodes, sessions and weeks can be told apart by its joules.

Only controls with the same `control_id` did the same work. A node whose control costs more or less than it used to, or
than its peers' does, measures something else than it should.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from sipa.errors import ResultsError

OWN_BAND = 0.03
"""A control may differ by this share from the median of the node's earlier ones. The Green Metrics Tool asks of its
cluster's control workload a relative standard deviation of at most 1 %; the band is three of those."""

OWN_MIN = 2
"""So many earlier controls make a band; of one alone nobody knows whether it was a good one."""

PEER_BAND = 0.05
"""The same against the median of equal nodes. Parts of one type differ by several percent when they are new (leakage,
fans, memory modules), so this band is wider: it finds a broken node, not a thrifty one."""

PEER_MIN_NODES = 3
"""So many nodes make a band, the one that is judged among them: with two, nobody knows which one is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """One run of the control workload on one node.

    Attributes:
        control_id: what was run: the parts, their version, the processes, the work of each.
        node: where.
        session_id: one run of the controller.
        sequence: place among the controls of this node and session, from 0.
        after_block: repetition that had been finished; 0 before the first.
        environment_id: the host's fingerprint.
        started_at: UTC, ISO 8601.
        duration_s: length of the window.
        energy_total_j: packages and DRAM; None if unavailable.
        energy_pkg_j: packages.
        temperature_end_c: hottest package at its end; None where unreadable.
        reason: why there is no energy, or no result at all; empty otherwise.
    """

    control_id: str
    node: str
    session_id: str
    sequence: int
    after_block: int
    environment_id: str
    started_at: str
    duration_s: float
    energy_total_j: float | None
    energy_pkg_j: float | None
    temperature_end_c: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a control says about its node.

    Attributes:
        outside: it left a band: this node's numbers are not to be trusted now.
        doubtful: the rows that follow must say so: it left a band, or has no energy.
        text: the value, the bands, how many controls made them.
        cure: what to do; empty if there is nothing.
    """

    outside: bool
    doubtful: bool
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeResult:
    """How two sessions compare by their controls.

    Attributes:
        ratio: control energy of the later session over that of the earlier one, the geometric mean over `nodes`;
            None if they have no control of the same work on the same node.
        low: lower end of its confidence interval; None where no node repeated its control in a session.
        high: upper end.
        nodes: what was compared: nodes with controls of the same work in both.
        counts: controls of the earlier and of the later session that were used.
        control_ids: what was run, of which each node is compared with itself.
        environment_changed: nodes whose fingerprint is another one in the later session.
        remark: what the reader must know; empty if nothing.
    """

    ratio: float | None
    low: float | None
    high: float | None
    nodes: tuple[str, ...]
    counts: tuple[int, int]
    control_ids: tuple[str, ...]
    environment_changed: tuple[str, ...]
    remark: str


def judge(result: ControlResult, *, earlier: Iterable[ControlResult], peers: Iterable[ControlResult]) -> Verdict:
    """Compare a control with this node's earlier ones and with equal nodes.

    Args:
        result: the control.
        earlier: any controls, oldest first; those of the same node, work and environment count, but for those that
            were outside themselves: as many bad ones as good ones would put the median between them.
        peers: the last control of each node with the same CPU model in this session; its own is left out if given.
    """
    value = result.energy_total_j
    if value is None or value <= 0:
        return Verdict(outside=False, doubtful=True, text=f"no energy: {result.reason or 'the counters gave none'}")
    own = _reference(_energy(each) for each in earlier if _is_own(each, result))
    alike = [_energy(each) for each in peers if _is_peer(each, result)]
    found = [
        _Band(f"{len(own)} earlier controls of this node", own, OWN_BAND, OWN_MIN),
        _Band(f"the {len(alike) + 1} nodes of this CPU model", [*alike, value], PEER_BAND, PEER_MIN_NODES),
    ]
    bands = [band for band in found if len(band.energies) >= band.needs]
    outside = [band for band in bands if not band.holds(value)]
    if outside:
        where = "; ".join(band.compare(value) for band in outside)
        return Verdict(outside=True, doubtful=True, text=f"{value:.5g} J, {where}", cure=_cure(result))
    where = "; ".join(band.compare(value) for band in bands)
    return Verdict(outside=False, doubtful=False, text=where or "too few other controls to compare with yet")


def load(folder: str | Path) -> list[ControlResult]:
    """The controls of a sweep, oldest first.

        from sipa.control import bridge, load
        controls = load("results/experiment1")
        first, last = controls[0].session_id, controls[-1].session_id
        bridge([c for c in controls if c.session_id == first], [c for c in controls if c.session_id == last])

    Args:
        folder: like "results/experiment1", or the folder `controls` in it.

    Raises:
        ResultsError: there is no such folder, or a file in it is no control.
    """
    path = Path(folder)
    path = path / "controls" if (path / "controls").is_dir() else path
    if not path.is_dir():
        raise ResultsError(
            f"{path}: no such folder. Controls are run where energy is measured and measurement.control_s is above 0."
        )
    found = [_read(each) for each in sorted(path.glob("*.json"))]
    return sorted(found, key=lambda each: (each.started_at, each.node, each.sequence))


def bridge(
    earlier: Sequence[ControlResult], later: Sequence[ControlResult], *, confidence: float = 0.95
) -> BridgeResult:
    """The ratio of the same work's energy in two sessions: how far their rows may differ for reasons of the nodes.

    It says how much more or less the *control workload* took. Other work, with another share of memory or of vector
    instructions, may have changed by another ratio; and one control a session cannot tell a changed node from
    chance. So it is a bound on what a comparison of the two sessions can show, and no factor: rows are never rescaled.

    The interval is Student's t of the difference of mean logarithms, each node with itself; the scatter is that of
    controls within a node and session. What changed differently from node to node is not in it.

    Args:
        earlier: controls of one session.
        later: controls of another.
        confidence: of the interval, between 0 and 1.
    """
    first, second = _by_work(earlier), _by_work(later)
    both = sorted(first.keys() & second.keys())
    if not both:
        return _NO_BRIDGE
    cells = [([math.log(_energy(c)) for c in first[key]], [math.log(_energy(c)) for c in second[key]]) for key in both]
    difference = fmean(fmean(after) - fmean(before) for before, after in cells)
    margin = _margin(cells, confidence)
    changed = tuple(key[0] for key in both if len({each.environment_id for each in (*first[key], *second[key])}) > 1)
    remarks = [
        *(["no node repeated its control in a session, so there is no interval"] if margin is None else []),
        *([f"another environment on {', '.join(changed)}"] if changed else []),
    ]
    return BridgeResult(
        ratio=math.exp(difference),
        low=None if margin is None else math.exp(difference - margin),
        high=None if margin is None else math.exp(difference + margin),
        nodes=tuple(node for node, _ in both),
        counts=(sum(len(before) for before, _ in cells), sum(len(after) for _, after in cells)),
        control_ids=tuple(sorted({work for _, work in both})),
        environment_changed=changed,
        remark="; ".join(remarks),
    )


@dataclass(frozen=True, slots=True)
class _Band:
    of: str
    energies: Collection[float]
    width: float
    needs: int

    def holds(self, value: float) -> bool:
        return abs(value - median(self.energies)) <= self.width * median(self.energies)

    def compare(self, value: float) -> str:
        middle = median(self.energies)
        share = value / middle - 1
        return (
            f"{abs(share):.1%} {'above' if share > 0 else 'below'} the median {middle:.5g} J of {self.of} "
            f"(band {self.width:.0%})"
        )


def _reference(energies: Iterable[float]) -> list[float]:
    """Those that were inside the band of the ones before them, and the first ones."""
    kept: list[float] = []
    for value in energies:
        if len(kept) < OWN_MIN or _Band("", kept, OWN_BAND, OWN_MIN).holds(value):
            kept.append(value)
    return kept


def _is_own(each: ControlResult, result: ControlResult) -> bool:
    same = ("node", "control_id", "environment_id")
    itself = (each.session_id, each.sequence) == (result.session_id, result.sequence)
    alike = all(getattr(each, name) == getattr(result, name) for name in same)
    return alike and not itself and _has_energy(each)


def _is_peer(each: ControlResult, result: ControlResult) -> bool:
    return each.node != result.node and each.control_id == result.control_id and _has_energy(each)


def _has_energy(result: ControlResult) -> bool:
    """Not where counters stood still: a window of less than a second may show 0 J."""
    return result.energy_total_j is not None and result.energy_total_j > 0


def _energy(result: ControlResult) -> float:
    """Its energy, where it is known to have one."""
    if result.energy_total_j is None:
        raise ValueError(f"the control of {result.node} at {result.started_at} has no energy")
    return result.energy_total_j


def _cure(result: ControlResult) -> str:
    return (
        f"The same work took another energy: rows of {result.node} since its control before may be off too. Look for "
        "what changed there (cooling, power limits, other load): sipa-cluster doctor --node; or set "
        "measurement.gates = 'flag', which goes on and marks its rows. If the change is meant to stay, move the node's "
        "files out of the folder controls"
    )


def _by_work(results: Iterable[ControlResult]) -> Mapping[tuple[str, str], list[ControlResult]]:
    found: dict[tuple[str, str], list[ControlResult]] = {}
    for each in results:
        if _has_energy(each):
            found.setdefault((each.node, each.control_id), []).append(each)
    return found


_NO_BRIDGE = BridgeResult(
    ratio=None,
    low=None,
    high=None,
    nodes=(),
    counts=(0, 0),
    control_ids=(),
    environment_changed=(),
    remark="no node has controls of the same work, with energy, in both sessions",
)


def _margin(cells: Sequence[tuple[Sequence[float], Sequence[float]]], confidence: float) -> float | None:
    """Half width of the interval of the mean difference; None without a repetition, as the scatter is not known."""
    groups = [group for cell in cells for group in cell]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom < 1:
        return None
    from scipy.special import stdtrit

    scatter = math.fsum((value - fmean(group)) ** 2 for group in groups for value in group) / freedom
    variance = scatter * math.fsum(1 / len(group) for group in groups) / len(cells) ** 2
    return float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(variance)


def _read(path: Path) -> ControlResult:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(ControlResult).validate_json(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}. Cure: sudo chmod a+r {path}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ResultsError(f"{path}: not a control: {place}: {first['msg']}. Move the file away.") from error
