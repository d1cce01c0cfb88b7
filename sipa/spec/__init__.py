"""The sweep file: `load_spec(path)` gives a frozen `SweepSpec`, or every problem of the file at once with its line.

The reader is imported when a file is read: a trial's process needs the types only, not pydantic.
"""

from pathlib import Path
from typing import Any

from sipa.errors import SpecError
from sipa.spec.model import (
    Chameleon,
    Combination,
    CommandOutput,
    DesignSpec,
    Gates,
    Levels,
    Limits,
    MeasurementSpec,
    Meter,
    ModelWatts,
    Order,
    Prices,
    Scope,
    StaticHosts,
    StopRule,
    SweepSpec,
    TestbedKind,
    TestbedSpec,
    WorkloadSpec,
)
from sipa.workloads import Kind

__all__ = [
    "Chameleon",
    "Combination",
    "CommandOutput",
    "DesignSpec",
    "Gates",
    "Levels",
    "Limits",
    "MeasurementSpec",
    "Meter",
    "ModelWatts",
    "Order",
    "Prices",
    "Scope",
    "StaticHosts",
    "StopRule",
    "SweepSpec",
    "TestbedKind",
    "TestbedSpec",
    "WorkloadSpec",
    "json_schema",
    "load_spec",
    "parse_spec",
    "template",
]


def load_spec(path: str | Path) -> SweepSpec:
    """Read a sweep file.

    Args:
        path: the file; problems name it as it is given here.

    Raises:
        SpecError: everything that is wrong with it, one problem a line.
    """
    from sipa.spec.syntax import read_text

    return parse_spec(read_text(path), path)


def parse_spec(text: str, source: str | Path) -> SweepSpec:
    """Read the text of a sweep file.

    Args:
        text: the TOML.
        source: the file it is from, or that problems shall name.

    Raises:
        SpecError: everything that is wrong with it, one problem a line.
    """
    from sipa.spec.build import build
    from sipa.spec.messages import Problems
    from sipa.spec.syntax import parse

    problems = Problems()
    spec = build(parse(text, str(source)), text, Path(source), problems)
    if spec is None:
        raise SpecError(problems.sentences(text, str(source)))
    return spec


def json_schema() -> dict[str, Any]:
    """The JSON schema of a sweep file, for completion and checks in editors."""
    from sipa.spec.editor_schema import json_schema as schema

    return schema()


def template(name: str, kind: Kind) -> str:
    """The text of a new, commented sweep file that runs as it is, on this machine, within minutes.

    Args:
        name: name of the sweep.
        kind: what it measures.

    Raises:
        UsageError: the name is none that a sweep can have.
    """
    from sipa.spec.starter import template as text

    return text(name, kind)
