"""The sweep file as a JSON schema, made from the models and declarations: for completion and checks in editors.

Draft 7, the newest that the TOML plug-ins of editors (taplo, Even Better TOML) understand. What concerns several keys
at once is beyond a schema and left to `load_spec`.
"""

from typing import Any

from sipa.spec.document import (
    IDENTIFIER,
    MAX_EXACT,
    SCHEMA,
    SECTIONS,
    TESTBEDS,
    CommandSettings,
    Head,
    Section,
)
from sipa.workloads import WORKLOADS, Kind, Parameter, ValueType, Workload

Schema = dict[str, Any]

_TYPES = {
    ValueType.INTEGER: {"type": "integer"},
    ValueType.NUMBER: {"type": "number"},
    ValueType.TEXT: {"type": "string"},
    ValueType.BOOLEAN: {"type": "boolean"},
}
_FREE = {"type": ["string", "number", "boolean"]}
_FREE_NAME = {"pattern": IDENTIFIER}


def json_schema() -> Schema:
    """The schema of a sweep file, as a JSON value of its own (nothing in it is shared)."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sweep file of sipa-cluster",
        "type": "object",
        "required": ["schema", "name", "workload"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": SCHEMA, "description": "version of the file's format"},
            "name": _section(Head)["properties"]["name"],
            "workload": {
                "description": "what is measured, with the parameters that have one value",
                "oneOf": [_workload(each) for each in WORKLOADS.values()],
            },
            "factors": {
                "description": "the parameters that vary: every combination of their levels is a treatment",
                "type": "object",
            },
            **{name: _section(model) for name, model in SECTIONS.items()},
            "testbed": {
                "description": "where the nodes come from; this machine if not given",
                "oneOf": [_section(model) for model in TESTBEDS.values()],
            },
        },
        "allOf": [_factors_of(each) for each in WORKLOADS.values()],
    }


def _section(model: type[Section]) -> Schema:
    """A model's schema with its definitions put in place: editors follow no references inside alternatives."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {key: _inlined(value, definitions) for key, value in schema.items()}


def _inlined(node: Any, definitions: Schema) -> Any:
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**target, **rest}, definitions)
    return {key: _inlined(value, definitions) for key, value in node.items()}


def _workload(workload: Workload) -> Schema:
    """`[workload]` of one kind."""
    schema: Schema = {
        "title": str(workload.kind),
        "description": workload.meaning,
        "type": "object",
        "required": ["kind", *(each.name for each in workload.parameters if each.required and not each.factor)],
        "properties": {
            "kind": {"const": str(workload.kind), "description": workload.meaning},
            **{each.name: _value(each) for each in workload.parameters},
        },
        "additionalProperties": _FREE if workload.free_factors else False,
    }
    if workload.kind is Kind.COMMAND:
        schema["properties"] |= _section(CommandSettings)["properties"]
        schema["propertyNames"] = _FREE_NAME
    return schema


def _factors_of(workload: Workload) -> Schema:
    """`[factors]`, where `[workload]` is of this kind."""
    of_this_kind = {"required": ["kind"], "properties": {"kind": {"const": str(workload.kind)}}}
    factors: Schema = {
        "properties": {each.name: _levels(_value(each)) for each in workload.parameters if each.factor},
        "additionalProperties": _levels(_FREE) if workload.free_factors else False,
    }
    if workload.free_factors:
        factors["propertyNames"] = _FREE_NAME
    return {
        "if": {"required": ["workload"], "properties": {"workload": of_this_kind}},
        "then": {"properties": {"factors": factors}},
    }


def _levels(value: Schema) -> Schema:
    description = f"levels: {value['description']}" if "description" in value else "levels of a factor of your own"
    level = {key: rule for key, rule in value.items() if key not in {"title", "description", "default"}}
    return {"description": description, "type": "array", "minItems": 1, "uniqueItems": True, "items": level}


def _value(parameter: Parameter) -> Schema:
    """One value of a declared parameter."""
    unit = "" if parameter.unit in {"-", "1"} else f", in {parameter.unit}"
    schema: Schema = {"title": parameter.name, "description": parameter.meaning + unit, **_TYPES[parameter.type]}
    if parameter.type is ValueType.TEXT:
        schema["minLength"] = 1
    if parameter.type is ValueType.INTEGER:
        schema |= {"minimum": -MAX_EXACT, "maximum": MAX_EXACT}
    bounds = {
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "multipleOf": parameter.multiple_of,
        "enum": list(parameter.choices) or None,
        "default": parameter.default,
    }
    return schema | {key: bound for key, bound in bounds.items() if bound is not None}
