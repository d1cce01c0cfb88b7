"""`[workload]` and `[factors]`: every parameter once, with values of its declared type.

A name that no workload declares is a free one (only for kind = "command"). Its numbers are always stored as floats,
so that a level 2.5 beside a level 2 does not change the column's type from one file of results to the next.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sipa.columns import NAMES, PARAMETER_NAMES
from sipa.spec.document import FORMS, IDENTIFIER, MAX_EXACT, CommandSettings
from sipa.spec.lines import TomlPath
from sipa.spec.messages import Problems, bound, did_you_mean, got, one_of, show, unknown
from sipa.spec.model import Levels
from sipa.spec.sections import home
from sipa.trial import canonical
from sipa.workloads import WORKLOADS, Kind, Parameter, Value, ValueType, Workload

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SETTINGS = frozenset(CommandSettings.model_fields)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a sweep, as far as they are in order.

    Attributes:
        fixed: name -> value; defaults are filled in.
        factors: name -> levels, in the order of the file.
        declared: name -> declaration of every one named in the file; those of free names are inferred.
    """

    fixed: dict[str, Value]
    factors: dict[str, Levels]
    declared: dict[str, Parameter]

    @property
    def free_types(self) -> tuple[tuple[str, ValueType], ...]:
        """Name and type of each parameter that no workload declares, sorted."""
        return tuple(sorted((name, each.type) for name, each in self.declared.items() if name not in PARAMETER_NAMES))


def read_parameters(
    kind: Kind, workload: Mapping[str, Any], factors: Mapping[str, Any], problems: Problems
) -> Parameters:
    """Check all parameters; what is wrong is noted and left out."""
    settings = {"kind", *(SETTINGS if kind is Kind.COMMAND else ())}
    fixed_here = {name: value for name, value in workload.items() if name not in settings}
    found = Parameters(fixed={}, factors={}, declared={})
    for name, value in fixed_here.items():
        path = ("workload", name)
        parameter = _declaration(kind, name, value, path, problems)
        if parameter and _one_value(parameter, value, path, problems):
            found.fixed[name] = canonical(value)
            found.declared[name] = parameter
    for name, levels in factors.items():
        path = ("factors", name)
        parameter = _declaration(kind, name, levels, path, problems)
        if parameter is None:
            continue
        if name in fixed_here:
            problems.add(path, "stands in [workload] too; keep one of the two", see=("workload", name))
        found.declared[name] = parameter
        if _levels(parameter, levels, path, problems) and name not in fixed_here:
            found.factors[name] = tuple(map(canonical, levels))
    _complete(WORKLOADS[kind], {*fixed_here, *factors}, found, problems)
    return found


def _complete(workload: Workload, named: set[str], found: Parameters, problems: Problems) -> None:
    """Fill in defaults; note what is missing."""
    for each in workload.parameters:
        if each.name in named:
            continue
        if each.required and each.factor:
            cure = "give it one value in [workload] or a list of levels in [factors]"
            problems.add(("workload", each.name), f"missing ({each.meaning}); {cure}")
        elif each.required:
            problems.add(("workload", each.name), f"missing ({each.meaning})")
        elif each.default is not None:
            found.fixed[each.name] = canonical(each.default)
            found.declared[each.name] = each


def _declaration(kind: Kind, name: str, value: object, path: TomlPath, problems: Problems) -> Parameter | None:
    """What a name means for this kind of workload, or None where it means nothing."""
    workload = WORKLOADS[kind]
    if parameter := workload.parameter(name):
        if path[0] == "factors" and not parameter.factor:
            problems.add(path, f"cannot be varied; it belongs in [workload] ({parameter.meaning})")
            return None
        return parameter
    if not workload.free_factors:
        known = (each.name for each in workload.parameters)
        problems.add(path, _unknown(name, known, path))
        return None
    if refusal := _name_refusal(name, path):
        problems.add(path, refusal)
        return None
    return _free(name, value)


def _unknown(name: str, known: Iterable[str], path: TomlPath) -> str:
    """The problem of a key that the workload does not know."""
    if name in SETTINGS or name == "command":
        return f"unknown key: it belongs to kind = '{Kind.COMMAND}'"
    elsewhere = "[workload]" if name == "kind" else home(name)
    if elsewhere.startswith("[workload]") and path[0] == "workload":
        elsewhere = ""
    return unknown(name, known, elsewhere)


def _name_refusal(name: str, path: TomlPath) -> str | None:
    """Why a name of the user's own cannot be a column, or None."""
    if path[0] == "factors" and (name in SETTINGS or name == "kind"):
        return "is a setting and cannot be varied; it belongs in [workload]"
    if not re.fullmatch(IDENTIFIER, name):
        return f"its name {FORMS[IDENTIFIER]}"
    if name in NAMES - PARAMETER_NAMES:
        return "is a column of the results; take another name"
    return None


def _free(name: str, value: object) -> Parameter:
    """A declaration for a name that this kind of workload does not declare.

    A name that another kind declares has that type, because both share the column.
    """
    shared = next(filter(None, (each.parameter(name) for each in WORKLOADS.values())), None)
    if shared:
        return Parameter(name=name, type=shared.type, unit=shared.unit, meaning=shared.meaning)
    first = value[0] if isinstance(value, list) and value else value
    inferred = {bool: ValueType.BOOLEAN, int: ValueType.NUMBER, float: ValueType.NUMBER}
    kind = inferred.get(type(first), ValueType.TEXT)
    return Parameter(name=name, type=kind, unit="-", meaning="a factor of the sweep's own")


def _one_value(parameter: Parameter, value: object, path: TomlPath, problems: Problems) -> bool:
    if isinstance(value, list) and parameter.factor:
        problems.add(path, f"must be one value; a list of levels belongs in [factors] as {parameter.name} = [...]")
        return False
    if refusal := fault(parameter, value):
        problems.add(path, refusal)
        return False
    return True


def _levels(parameter: Parameter, levels: object, path: TomlPath, problems: Problems) -> bool:
    if not isinstance(levels, list):
        problems.add(path, f"must be a list of levels{got(levels)}; one value belongs in [workload]")
        return False
    if not levels:
        problems.add(path, "must have at least one level")
        return False
    refusals = list(_refusals(parameter, levels))
    for index, refusal in refusals:
        problems.add((*path, index), refusal)
    return not refusals


def _refusals(parameter: Parameter, levels: list[Any]) -> Iterator[tuple[int, str]]:
    """Index and reason of each level that is wrong or stands twice."""
    seen: dict[Value, int] = {}
    for index, level in enumerate(levels):
        if refusal := fault(parameter, level):
            yield index, refusal
        elif (first := seen.setdefault(canonical(level), index)) != index:
            yield index, f"{show(level)} is a level already: [{first}]"


def fault(parameter: Parameter, value: object) -> str | None:
    """The rule of its declaration that a value breaks, with what stood there; None if it fits."""
    if parameter.type in {ValueType.INTEGER, ValueType.NUMBER}:
        rule = _number_rule(parameter, value)
    elif parameter.type is ValueType.BOOLEAN:
        rule = None if isinstance(value, bool) else "must be true or false"
    else:
        rule = _text_rule(parameter, value)
    if rule is None:
        return None
    return rule + got(value) + did_you_mean(value, parameter.choices)


def _number_rule(parameter: Parameter, value: object) -> str | None:
    whole = parameter.type is ValueType.INTEGER
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be an integer" if whole else "must be a number"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if abs(value) > MAX_EXACT and (whole or isinstance(value, int)):
        return f"must lie within ±{MAX_EXACT}"
    if whole and value % 1:
        return "must be an integer"
    rule = bound(value, minimum=parameter.minimum, maximum=parameter.maximum, whole=whole)
    if rule is None and parameter.multiple_of and value % parameter.multiple_of:
        rule = f"must be a multiple of {parameter.multiple_of}"
    return rule


def _text_rule(parameter: Parameter, value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a text in quotes"
    if parameter.choices and value not in parameter.choices:
        return one_of(parameter.choices)
    if not value and parameter.name in PARAMETER_NAMES:
        return "must not be empty"
    if parameter.factor and _CONTROL.search(value):
        return "must have no control characters such as line breaks"
    return None


def misspelt_setting(name: str) -> str | None:
    """The setting of a command that a free key was probably meant to be."""
    nearest = difflib.get_close_matches(name, sorted(SETTINGS), n=1, cutoff=0.7)
    return nearest[0] if nearest else None
