"""One table of the file -> its pydantic model, and pydantic's complaints -> our sentences.

pydantic sees values after our own tidying (`meter = "perf"` is a list of one), so its locations may name an index that
the file does not have: paths are cut back to what stands there.
"""

import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sipa.spec.document import FORMS, SECTIONS, TESTBEDS, CommandSettings, Model, Section, Stop
from sipa.spec.lines import TomlPath
from sipa.spec.messages import Problems, did_you_mean, got, no_table, one_of, unknown
from sipa.workloads import WORKLOADS

_Section = TypeVar("_Section", bound=Section)

_RULES = {
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:.16g}",
}
"""pydantic's type of an error -> the rule that was broken."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[_Section]):
    """What could be read of a table.

    Attributes:
        section: the table, with the defaults in place of what is wrong with it; None if not even that makes sense.
        wrong: the keys of the table that are wrong or hold something wrong.
    """

    section: _Section | None
    wrong: frozenset[str]

    def vouches(self, *keys: str) -> bool:
        """Whether these keys are in order, so that they may be held against others."""
        return self.section is not None and self.wrong.isdisjoint(keys)


def read(model: type[_Section], table: object, path: TomlPath, problems: Problems) -> Reading[_Section]:
    """Check one table against its model.

    Args:
        model: what the table must look like.
        table: what stands in the file.
        path: where it stands.
        problems: where everything wrong is noted.
    """
    if not isinstance(table, dict):
        problems.add(path, no_table(table, path))
        return Reading(None, frozenset(model.model_fields))
    try:
        return Reading(model.model_validate(table), frozenset())
    except ValidationError as refusal:
        errors = refusal.errors(include_url=False)
    for error in errors:
        if error["type"] == "too_short" and error["input"]:
            continue  # Entries that are wrong themselves are not counted by pydantic.
        problems.add(path + _standing(table, error["loc"]), _text(model, error))
    return _salvaged(model, table, errors)


def _salvaged(model: type[_Section], table: Mapping[str, Any], errors: Iterable[ErrorDetails]) -> Reading[_Section]:
    """Read a table without its wrong keys, so that the others can still be held against each other."""
    wrong: set[str] = set()
    for error in errors:
        location = error["loc"]
        if error["type"] != "extra_forbidden":
            location = location[:1]
            wrong.add(str(location[0]))
        table = _without(table, location)
    try:
        return Reading(model.model_validate(table), frozenset(wrong))
    except ValidationError:
        return Reading(None, frozenset(model.model_fields))


def _without(table: Mapping[str, Any], location: TomlPath) -> Mapping[str, Any]:
    key, *rest = location
    child = table.get(str(key))
    if rest and isinstance(child, dict):
        return {**table, str(key): _without(child, tuple(rest))}
    return {each: value for each, value in table.items() if each != key}


def _standing(table: object, location: TomlPath) -> TomlPath:
    """As much of a location as the file has, and the key that is missing from it."""
    path: TomlPath = ()
    node = table
    for key in location:
        if isinstance(node, dict) and isinstance(key, str):
            node = node.get(key)
        elif isinstance(node, list) and isinstance(key, int):
            node = node[key]
        else:
            break
        path += (key,)
    return path


def _text(model: type[Section], error: ErrorDetails) -> str:
    *parents, key = error["loc"]
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"missing ({_model_at(model, parents).model_fields[str(key)].description})"
        case "extra_forbidden":
            return unknown(str(key), _model_at(model, parents).model_fields, home(str(key)))
        case "too_short":
            return "must name at least one"
        case "string_pattern_mismatch":
            return FORMS[context["pattern"]] + got(error["input"])
        case "enum" | "literal_error":
            choices = _choices(context)
            return one_of(choices) + got(error["input"]) + did_you_mean(error["input"], choices)
        case kind:
            return _RULES.get(kind, error["msg"]).format(**context) + got(error["input"])


def _choices(context: Mapping[str, Any]) -> list[str]:
    """The members of a closed set, which pydantic only gives as a sentence."""
    return re.findall(r"'([^']*)'", context["expected"])


def _model_at(model: type[BaseModel], location: Iterable[str | int]) -> type[BaseModel]:
    """The model of a table inside a section."""
    for key in location:
        if isinstance(key, str):
            annotation = model.model_fields[key].annotation
            choices = (annotation, *typing.get_args(annotation))
            model = next(each for each in choices if isinstance(each, type) and issubclass(each, BaseModel))
    return model


def home(key: str) -> str:
    """The table to which a key belongs: "[design]"; empty if to none."""
    tables = {f"[{name}]": set(model.model_fields) for name, model in SECTIONS.items()}
    tables["[testbed]"] = {field for model in TESTBEDS.values() for field in model.model_fields}
    parameters = [each for workload in WORKLOADS.values() for each in workload.parameters]
    fixed = (each.name for each in parameters if not each.factor)
    tables["[workload]"] = {"kind", *CommandSettings.model_fields, *fixed}
    tables["[workload] or [factors]"] = {each.name for each in parameters if each.factor}
    tables["[design.stop]"] = set(Stop.model_fields)
    tables["[measurement.model]"] = set(Model.model_fields)
    return next((table for table, fields in tables.items() if key in fields), "")
