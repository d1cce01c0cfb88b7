"""`init` and `schema`: what they write is what the other commands read."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from sipa.spec import load_spec
from tests.cluster.cli.calling import Invoke


@pytest.mark.parametrize("kind", ["detection", "command"])
def test_init_writes_a_sweep_that_loads_and_fits_the_schema(kind: str, invoke: Invoke) -> None:
    said = invoke("init", "mine", "--kind", kind)
    assert (said.exit_code, said.stdout) == (0, "mine.toml\n")
    assert "sipa-cluster run mine.toml" in said.stderr
    assert load_spec("mine.toml").name == "mine"
    schema = json.loads(invoke("schema").stdout)
    jsonschema.validate(tomllib.loads(Path("mine.toml").read_text(encoding="utf-8")), schema)


def test_init_never_overwrites_without_force(invoke: Invoke) -> None:
    Path("mine.toml").write_text("precious")
    said = invoke("init", "mine")
    assert said.exit_code == 2
    assert "--force" in said.stderr
    assert Path("mine.toml").read_text() == "precious"
    assert invoke("init", "mine", "--force").exit_code == 0
    assert load_spec("mine.toml").name == "mine"


def test_init_elsewhere_and_as_json(invoke: Invoke) -> None:
    said = invoke("init", "mine", "--out", "other.toml", "--json")
    assert json.loads(said.stdout) == {"file": "other.toml"}
    assert load_spec("other.toml").name == "mine"


def test_init_into_no_folder_says_so(invoke: Invoke) -> None:
    said = invoke("init", "mine", "--out", "no/such/mine.toml")
    assert said.exit_code == 2
    assert "--out" in said.stderr


def test_init_refuses_a_name_that_no_sweep_can_have(invoke: Invoke) -> None:
    said = invoke("init", "Not A Name")
    assert said.exit_code == 2
    assert not list(Path().glob("*.toml"))


def test_schema_on_one_line(invoke: Invoke) -> None:
    said = invoke("schema", "--json")
    assert said.stdout.count("\n") == 1
    assert json.loads(said.stdout) == json.loads(invoke("schema").stdout)
