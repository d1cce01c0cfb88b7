"""What only kind = "command" has: metrics, units of work, markers, inputs; and that the template uses every factor."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from sipa.columns import BY_NAME, NAMES
from sipa.spec import placeholders
from sipa.spec.document import FORMS, IDENTIFIER, CommandSettings
from sipa.spec.lines import TomlPath
from sipa.spec.messages import Problems, did_you_mean
from sipa.spec.model import CommandOutput
from sipa.spec.parameters import SETTINGS, Parameters, misspelt_setting
from sipa.spec.sections import read
from sipa.workloads import ValueType

ACCURACY = frozenset({"map_50_95", "map_50", "ar_100", "precision", "recall", "f1", "f1_ap_ar"})
"""Columns of the detection workload that a command may fill too, because they mean the same whoever computes them."""


def read_command(
    workload: Mapping[str, Any], factors: Mapping[str, Any], parameters: Parameters, problems: Problems
) -> CommandOutput:
    """Check the settings of a command and its template against the parameters.

    Args:
        workload: `[workload]` as it stands.
        factors: `[factors]` as it stands.
        parameters: what is in order of both.
        problems: where everything wrong is noted.
    """
    names = frozenset({*workload, *factors}) - SETTINGS - {"kind", "command"}
    used = _used_in_command(workload, names, problems)
    used_in_inputs = _used_in_inputs(workload, names, problems)
    if used is not None:
        for name in factors:
            if name in parameters.factors and name not in used:
                problems.add(
                    ("factors", name), f"is not in the command, so it would change nothing: write {{{name}}} there"
                )
    idle = parameters.fixed.keys() - used - used_in_inputs - {"command"} if used is not None else set()
    for name in sorted(idle):
        meant = misspelt_setting(name)
        cure = f"Did you mean '{meant}'?" if meant else f"Write {{{name}}} there, or move the key where it belongs."
        problems.add(("workload", name), f"unknown key, and the command does not name it. {cure}")
    return _settings(workload, names, parameters, problems)


def _used_in_command(workload: Mapping[str, Any], names: frozenset[str], problems: Problems) -> frozenset[str] | None:
    """The names in the command; None if it is no template."""
    template = workload.get("command")
    if not isinstance(template, str):
        return None
    path = ("workload", "command")
    try:
        if not shlex.split(template):
            problems.add(path, "must name a program")
    except ValueError:
        problems.add(path, "has a quote that is not closed, or ends in a backslash")
    if "\0" in template:
        problems.add(path, "must have no null character")
    return _checked(template, names, path, problems)


def _used_in_inputs(workload: Mapping[str, Any], names: frozenset[str], problems: Problems) -> frozenset[str]:
    inputs = workload.get("inputs")
    used: frozenset[str] = frozenset()
    for index, template in enumerate(inputs if isinstance(inputs, list) else []):
        if isinstance(template, str):
            used |= _checked(template, names, ("workload", "inputs", index), problems) or frozenset()
    return used


def _checked(template: str, names: frozenset[str], path: TomlPath, problems: Problems) -> frozenset[str] | None:
    """The names in a template, each of which must be a parameter; None if it is no template."""
    try:
        used = placeholders.names(template)
    except ValueError as error:
        problems.add(path, str(error))
        return None
    for name in sorted(used - names):
        hint = did_you_mean(name, names)
        problems.add(path, f"names {{{name}}}, which is neither a factor nor a key of [workload]{hint}")
    return used


def _settings(
    workload: Mapping[str, Any], names: frozenset[str], parameters: Parameters, problems: Problems
) -> CommandOutput:
    given = {name: value for name, value in workload.items() if name in SETTINGS}
    metrics = given.get("metrics")
    if isinstance(metrics, dict):
        _check_metrics(metrics, names, problems)
    reading = read(CommandSettings, given, ("workload",), problems)
    settings = reading.section
    if settings is None:
        return CommandOutput()
    if reading.vouches("begin_marker", "end_marker"):
        _check_markers(settings, problems)
    work = settings.work
    return CommandOutput(
        metrics=tuple((name, ValueType(kind)) for name, kind in settings.metrics.items()),
        work_unit=work.unit if work else "run",
        work_key=work.key if work else None,
        begin_marker=settings.begin_marker,
        end_marker=settings.end_marker,
        inputs=settings.inputs,
        free_types=parameters.free_types,
    )


def _check_metrics(metrics: Mapping[str, Any], names: frozenset[str], problems: Problems) -> None:
    for name, kind in metrics.items():
        path = ("workload", "metrics", name)
        if not re.fullmatch(IDENTIFIER, name):
            problems.add(path, f"its name {FORMS[IDENTIFIER]}")
        elif name in names:
            problems.add(path, "is a parameter of this sweep; a metric needs a name of its own")
        elif name in ACCURACY:
            if kind != BY_NAME[name].type:
                problems.add(path, f"must be '{BY_NAME[name].type}': {BY_NAME[name].meaning}")
        elif name in NAMES:
            problems.add(path, "is a column of the results; take another name")


def _check_markers(settings: CommandSettings, problems: Problems) -> None:
    begin, end = settings.begin_marker, settings.end_marker
    if (begin is None) != (end is None):
        alone, missing = ("end_marker", "begin_marker") if begin is None else ("begin_marker", "end_marker")
        problems.add(("workload", alone), f"is of no use alone: give {missing} too, or neither")
    elif begin is not None and begin == end:
        problems.add(("workload", "end_marker"), "must differ from begin_marker")
