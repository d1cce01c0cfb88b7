"""The parsed file -> `SweepSpec`: every section by itself, then what concerns several at once.

What is wrong in itself is not held against other keys, so that one mistake is one problem and hides no other.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sipa import __version__
from sipa.spec.combinations import read_combinations
from sipa.spec.command import read_command
from sipa.spec.document import (
    KEYS,
    SCHEMA,
    Design,
    Head,
    LimitsSection,
    Measurement,
    PricesSection,
    ResultsSection,
)
from sipa.spec.measurement import (
    check_measurement,
    check_prices,
    check_stop,
    design_spec,
    measurement_spec,
    numeric_columns,
)
from sipa.spec.messages import Problems, did_you_mean, got, no_table, one_of, unknown
from sipa.spec.model import CommandOutput, DesignSpec, Limits, Prices, SweepSpec, WorkloadSpec
from sipa.spec.parameters import read_parameters
from sipa.spec.sections import Reading, home, read
from sipa.spec.testbed import read_testbed
from sipa.workloads import Kind


def build(data: Mapping[str, Any], text: str, source: Path, problems: Problems) -> SweepSpec | None:
    """Check a parsed file and make a value of it.

    Args:
        data: the file as `tomllib` gives it.
        text: the file's text.
        source: where it was read.
        problems: where everything wrong is noted.

    Returns:
        The sweep, or None where anything is wrong.
    """
    if not _is_our_schema(data, problems):
        return None
    _check_keys(data, problems)
    head = read(Head, {key: data[key] for key in ("name",) if key in data}, (), problems).section
    limits = read(LimitsSection, data.get("limits", {}), ("limits",), problems).section
    prices = read(PricesSection, data.get("prices", {}), ("prices",), problems)
    results = read(ResultsSection, data.get("results", {}), ("results",), problems).section
    measurement = read(Measurement, data.get("measurement", {}), ("measurement",), problems)
    testbed = read_testbed(data.get("testbed", {}), problems)
    check_prices(prices, problems)
    check_measurement(measurement, problems)
    experiment = _experiment(data, measurement, problems)
    if not (head and limits and prices.section and results and measurement.section and testbed and experiment):
        return None
    if problems:
        return None
    workload, design = experiment
    return SweepSpec(
        name=head.name,
        workload=workload,
        design=design,
        measurement=measurement_spec(measurement.section),
        testbed=testbed,
        limits=Limits(**limits.model_dump()),
        prices=Prices(**prices.section.model_dump()),
        mirror=results.mirror,
        source=source,
        text=text,
        spec_hash=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _is_our_schema(data: Mapping[str, Any], problems: Problems) -> bool:
    """Whether the rest can be judged: a file of another format is not told what is wrong by the rules of this one."""
    reads = f"sipa-cluster {__version__} reads schema = {SCHEMA}"
    version = data.get("schema")
    if version is None:
        problems.add(("schema",), f"missing: write schema = {SCHEMA} above the first table ({reads})")
    elif isinstance(version, bool) or not isinstance(version, int | float):
        problems.add(("schema",), f"must be {SCHEMA}{got(version)}: {reads}")
    elif version != SCHEMA:
        newer = "; this file is of a newer version: pip install --upgrade sipa-cluster" if version > SCHEMA else ""
        problems.add(("schema",), f"must be {SCHEMA}{got(version)}: {reads}{newer}")
        return False
    return True


def _check_keys(data: Mapping[str, Any], problems: Problems) -> None:
    for key in data:
        if key not in KEYS:
            problems.add((key,), unknown(key, KEYS, home(key)))


def _table(data: Mapping[str, Any], key: str, problems: Problems) -> Mapping[str, Any] | None:
    value = data.get(key, {})
    if isinstance(value, dict):
        return value
    problems.add((key,), no_table(value, (key,)))
    return None


def _experiment(
    data: Mapping[str, Any], measurement: Reading[Measurement], problems: Problems
) -> tuple[WorkloadSpec, DesignSpec] | None:
    """`[workload]`, `[factors]` and `[design]`, which only make sense together."""
    design = read(Design, data.get("design", {}), ("design",), problems)
    workload = _table(data, "workload", problems)
    factors = _table(data, "factors", problems)
    kind = _kind(workload, problems) if workload is not None else None
    if workload is None or factors is None or kind is None:
        return None
    parameters = read_parameters(kind, workload, factors, problems)
    output = CommandOutput()
    if kind is Kind.COMMAND:
        output = read_command(workload, factors, parameters, problems)
    combinations = read_combinations(design, factors.keys(), parameters, problems)
    if isinstance(data.get("design"), dict):
        meters = measurement.section.meter if measurement.section and measurement.vouches("meter") else None
        check_stop(data["design"].get("stop"), design, numeric_columns(kind, output), meters, problems)
    spec = WorkloadSpec(
        kind=kind,
        fixed=tuple(sorted(parameters.fixed.items())),
        factors=tuple(parameters.factors.items()),
        output=output,
    )
    return (spec, design_spec(design.section, combinations)) if design.section else None


def _kind(workload: Mapping[str, Any], problems: Problems) -> Kind | None:
    if not workload:
        problems.add(("workload",), "missing (the table that says what is measured: its kind and parameters)")
        return None
    kind = workload.get("kind")
    if kind is None:
        problems.add(("workload", "kind"), f"missing: {one_of(Kind)}")
    elif kind not in [*Kind]:
        problems.add(("workload", "kind"), one_of(Kind) + got(kind) + did_you_mean(kind, Kind))
    else:
        return Kind(kind)
    return None
