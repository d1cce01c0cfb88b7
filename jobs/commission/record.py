"""A commissioning as one value, and as the JSON content whose hash is its id."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.commission.agreement import Compared
from jobs.commission.facts import Facts
from jobs.commission.idle import Idle
from jobs.commission.latency import Latency
from jobs.commission.lengths import Lengths
from jobs.commission.memory_power import MemoryPower
from jobs.commission.node_power import NodePower
from jobs.commission.repeatability import Repeated
from jobs.commission.stress import Stress
from jobs.commission.update import Updates
from jobs.commission.verdict import Finding, Verdict, worst
from sipa.trial import canonical

SCHEMA = 1
"""Version of the JSON content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commissioning:
    """Everything that a commissioning found.

    Attributes:
        started_at: UTC, ISO 8601.
        node: name of the host.
        columns: identity columns as they stand in every row of this node.
        environment: the fingerprint that `environment_id` names.
        root: where counters and host state were read; anything but "/" is a rehearsal.
        latency_loaded: read latency with all CPUs busy.
        node_power: idle and under stress.
    """

    started_at: str
    duration_s: float
    node: str
    columns: Mapping[str, Any]
    environment: Mapping[str, Any]
    root: str
    lengths: Lengths
    findings: tuple[Finding, ...]
    facts: Facts
    idle: Idle
    latency: Latency
    latency_loaded: Latency | None
    updates: tuple[Updates, ...]
    repeated: Repeated
    stress: Stress
    compared: tuple[Compared, ...]
    node_power: tuple[NodePower, ...]
    memory: tuple[MemoryPower, ...]
    schema: int = SCHEMA

    @property
    def rehearsal(self) -> bool:
        """Whether the counters were those of a made tree."""
        return self.root != "/"

    @property
    def quick(self) -> bool:
        """Whether the lengths were cut."""
        return self.lengths.quick

    @property
    def verdict(self) -> Verdict:
        """The gravest of all verdicts."""
        return worst(self.findings)

    @property
    def refused(self) -> bool:
        """Whether the node should not measure; a rehearsal says nothing of it."""
        return self.verdict is Verdict.FAIL and not self.rehearsal

    @property
    def caveat(self) -> str:
        """What must be said before anything else; empty for a full commissioning of a real machine."""
        if self.rehearsal:
            return "A rehearsal on a made tree: evidence of nothing but the program."
        if self.quick:
            return "A shortened run: it shows that everything works, and is weak evidence about the node."
        return ""


def content(found: Commissioning) -> dict[str, Any]:
    """The JSON content: every number that was found, derived ones too where they decide something."""
    return {
        **_plain(found),
        "verdict": found.verdict.value,
        "quick": found.quick,
        "rehearsal": found.rehearsal,
        "caveat": found.caveat,
    }


def _plain(value: Any) -> Any:
    """A value as JSON knows it; whole floats as integers, as wherever something is hashed, and nine digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return canonical(float(f"{value:.9g}")) if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
