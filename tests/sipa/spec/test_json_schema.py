"""The schema for editors agrees with the reader, as far as a schema can."""

import importlib.util
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from sipa.errors import SpecError
from sipa.spec import json_schema, parse_spec
from sipa.workloads import WORKLOADS


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def _nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for each in node for found in _nodes(each)]
    if isinstance(node, dict):
        return [node, *(found for each in node.values() for found in _nodes(each))]
    return []


def test_it_is_json_of_its_own() -> None:
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert "$ref" not in json.dumps(schema)


def test_every_key_is_described() -> None:
    for node in _nodes(json_schema()["properties"]):
        for name, schema in node.get("properties", {}).items():
            assert isinstance(schema, bool) or schema.get("description") or name in {"min", "max"}, name


def test_every_parameter_is_there() -> None:
    kinds = {each["title"]: each["properties"] for each in json_schema()["properties"]["workload"]["oneOf"]}
    for workload in WORKLOADS.values():
        assert {each.name for each in workload.parameters} <= kinds[workload.kind].keys()


def test_good_files(validator: Draft7Validator, good_files: dict[str, str]) -> None:
    for text in good_files.values():
        validator.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema = 1", "schema = 2"),
        ("schema = 1", "schema = 1\nx = 1"),
        ('name = "small"', ""),
        ('"small"', '"Small"'),
        ('"detection"', '"detektion"'),
        ("images = 100", "imges = 100"),
        ("images = 100", "images = 0"),
        ("images = 100", "image_size = 100"),
        ("images = 100", 'execution = "fast"'),
        ("images = 100", 'command = "x"'),
        ("weights = [", "wieghts = ["),
        ('["a", "b"]', '"a"'),
        ('["a", "b"]', "[]"),
        ('["a", "b"]', '["a", "a"]'),
        ('["a", "b"]', "[1]"),
        ("repetitions = 2", "repeat = 2"),
        ("repetitions = 2", "repetitions = 0"),
        ("repetitions = 2", 'points = "random"'),
        ("repetitions = 2", "include = [1]"),
        ("repetitions = 2", 'stop = { metric = "m" }'),
        ("idle_s = 1", "idle_s = -1"),
        ("idle_s = 1", 'gates = "no"'),
        ('["powercap", "model"]', '"rapl"'),
        ("max_w = 20", ""),
        ('"local"', '"lokal"'),
        ('"local"', '"local"\nnodes = 2'),
        ('"local"', '"static"'),
        ('"local"', '"chameleon"\nnodes = { min = 1 }'),
    ],
)
def test_bad_files(old: str, new: str, validator: Draft7Validator, good_files: dict[str, str]) -> None:
    assert old in good_files["detection"]
    text = good_files["detection"].replace(old, new, 1)
    assert not validator.is_valid(tomllib.loads(text))
    with pytest.raises(SpecError):
        parse_spec(text, "s.toml")


def test_no_file_that_can_be_read_is_refused(validator: Draft7Validator, good_files: dict[str, str]) -> None:
    broken = _neighbour("test_broken")
    read = 0
    for seed in range(1500):
        content = broken.mutant(seed, list(good_files.values()))
        try:
            text = content.decode()
            parse_spec(text, "s.toml")
        except (SpecError, UnicodeDecodeError):
            continue
        validator.validate(tomllib.loads(text))
        read += 1
    assert read > 30


def _neighbour(name: str) -> Any:
    """A test module beside this one; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
