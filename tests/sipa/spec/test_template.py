"""The files that we hand out: what `init` writes, and the quickstart."""

import contextlib
import io
import json
import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from jobs.detection.catalogue import shipped
from sipa.errors import UsageError
from sipa.spec import Gates, Meter, TestbedKind, json_schema, load_spec, parse_spec, template
from sipa.spec.placeholders import arguments
from sipa.workloads import Kind

QUICKSTART = Path(__file__).parents[3] / "jobs" / "sweeps" / "quickstart.toml"
COMMENTED = re.compile(r"^# (?=\w+ = |\[)", re.MULTILINE)


@pytest.mark.parametrize("kind", Kind)
def test_templates_are_sweeps(kind: Kind) -> None:
    text = template("my-sweep", kind)
    spec = parse_spec(text, "my-sweep.toml")
    assert (spec.name, spec.workload.kind, spec.testbed.kind) == ("my-sweep", kind, TestbedKind.LOCAL)
    Draft7Validator(json_schema()).validate(tomllib.loads(text))


@pytest.mark.parametrize("kind", Kind)
def test_what_templates_have_in_comments_is_right_too(kind: Kind) -> None:
    text, replaced = COMMENTED.subn("", template("x", kind))
    assert replaced > 8
    spec = parse_spec(text, "x.toml")
    assert spec.design.include
    assert spec.design.exclude
    assert spec.design.stop


@pytest.mark.parametrize("kind", Kind)
def test_comments_keep_their_column(kind: Kind) -> None:
    columns = {
        line.index(" #") for line in template("my-sweep", kind).split("\n") if re.match(r"(schema|name) =", line)
    }
    assert len(columns) == 1
    assert template("a" * 41, kind).count(f'name = "{"a" * 41}" # ') == 1


@pytest.mark.parametrize("name", ["", "A", "a b", 'a"', "a" * 42, "a\n"])
def test_names_that_no_sweep_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="must be 1 to 41 of the characters"):
        template(name, Kind.DETECTION)


def test_the_command_of_the_template_does_what_it_declares() -> None:
    spec = parse_spec(template("x", Kind.COMMAND), "x.toml")
    command = dict(spec.workload.fixed)["command"]
    assert isinstance(command, str)
    program, option, code = arguments(command, {"level": 1, "numbers": 1000})
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "template", "exec"), {})
    assert (program, option) == ("python3", "-c")
    assert json.loads(printed.getvalue()).keys() == {spec.workload.output.work_key, *dict(spec.workload.output.metrics)}


def test_the_quickstart() -> None:
    spec = load_spec(QUICKSTART)
    Draft7Validator(json_schema()).validate(tomllib.loads(spec.text))
    factors = dict(spec.workload.factors)
    assert dict(spec.workload.fixed)["dataset"] == "digits"
    assert len(factors["weights"]) * len(factors["batch_size"]) * spec.design.repetitions == 45
    assert factors["batch_size"] == (1, 8, 32)
    assert set(factors["weights"]) == set(shipped())
    assert spec.measurement.meter == (Meter.POWERCAP, Meter.MODEL)
    assert spec.measurement.gates is Gates.FLAG
    assert spec.testbed.kind is TestbedKind.LOCAL
