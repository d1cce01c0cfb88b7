"""What a trial is, what it is called, and how it can end.

The identity is a hash of everything that can change the numbers, and of nothing else: not of nodes, prices or plots.
So an edited sweep file re-runs exactly what the edit changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sipa.workloads import Kind, Value

PROTOCOL_VERSION = 2
"""Raised when the way of measuring changes so that old and new rows must not be mixed."""

Row = dict[str, Any]
"""One row of the results: column name -> value of the Python type that its Arrow type maps to, or None."""


def canonical(value: Value) -> Value:
    """The one form of a value that is hashed, stored and put into commands: a whole float becomes an integer."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    return value


def digest(value: object) -> str:
    """The first 16 hex digits of the SHA-256 of a JSON value with sorted keys (64 bits).

    At a million trials the chance that any two share an id is about 3e-8.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """One combination of levels, with the content that it stands for.

    Attributes:
        kind: the workload.
        parameters: every parameter's canonical value, by name; those that the workload decides are absent.
        contents: what names stand for: "weights_sha256", "dataset_sha256", ...
        treatment_id: hash of the three.
    """

    kind: Kind
    parameters: Mapping[str, Value]
    contents: Mapping[str, str] = field(default_factory=dict)
    treatment_id: str = ""

    def __post_init__(self) -> None:
        if not self.treatment_id:
            parts = [str(self.kind), dict(self.parameters), dict(self.contents)]
            object.__setattr__(self, "treatment_id", digest(parts))

    @property
    def label(self) -> str:
        """The parameters on one line, for people."""
        return " ".join(f"{name}={value}" for name, value in self.parameters.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One repetition of a treatment. It knows no node.

    Attributes:
        repetition: from 1.
        replicate: label of a whole sweep measured anew; "" for the first.
        trial_id: hash over treatment, protocol, repetition and replicate.
    """

    treatment: Treatment
    repetition: int
    replicate: str
    trial_id: str


def trial_id(treatment_id: str, protocol_id: str, repetition: int, replicate: str) -> str:
    """The content address of a trial; see `digest` for its length."""
    text = f"{treatment_id}\0{protocol_id}\0{repetition}\0{replicate}\0{PROTOCOL_VERSION}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """A trial that was measured.

    Attributes:
        row: every column that is known, by name (see `sipa.results.schema`).
        phases: rows of the long form: phase, domain, begin_ns, end_ns, energy_j, quality, reason.
        environment: the host's fingerprint that `row["environment_id"]` names.
        predictions: Parquet file with the workload's outputs per image, named by digest when committed.
        samples: the power trace of the inference window: t_s, domain, power_w; empty where nothing is sampled.
    """

    trial_id: str
    attempt: int
    row: Row
    phases: tuple[Row, ...]
    environment: Mapping[str, Any]
    predictions: Path | None = None
    samples: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailure:
    """An attempt that gave no result.

    Attributes:
        error: name of the class in `sipa.errors` (decides about another attempt).
        message: what, where, why and the cure.
        phase: what the trial was doing.
        node: where.
    """

    trial_id: str
    attempt: int
    error: str
    message: str
    phase: str
    node: str
    started_at: str
    ended_at: str


Outcome = TrialResult | TrialFailure
