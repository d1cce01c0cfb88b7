"""`doctor`: what is found, why it matters, the cure; and whether measuring would be refused."""

import json
from collections.abc import Mapping
from pathlib import Path

from cluster.cli.doctor import check_lines
from cluster.cli.packages import package_checks
from jobs.preflight import Check, CheckState
from tests.cluster.cli.calling import Invoke

REQUIRES = [
    "click>=8.2",
    "numpy>=2.0",
    "sipa-cluster[trial]; extra == 'node'",
    "torch==2.13.0+cpu; (sys_platform == 'linux') and extra == 'node'",
    "torch==2.13.0; (sys_platform != 'linux') and extra == 'node'",
    "pycocotools>=2.0.8; extra == 'trial'",
    "ray==2.60.0; extra == 'cluster'",
    "torch==2.13.0; extra == 'node-gpu'",
]


def found(versions: Mapping[str, str]) -> dict[str, Check]:
    return {check.name: check for check in package_checks(REQUIRES, versions.get)}


def test_packages_of_the_base_and_of_the_extras() -> None:
    checks = found({"click": "8.2.0", "numpy": "1.26.4", "torch": "2.13.0+cpu", "ray": "2.59.0"})
    assert {name: check.state.value for name, check in checks.items()} == {
        "click": "ok",
        "numpy": "fail",
        "pycocotools (node)": "warn",
        "torch (node)": "ok",
        "ray (cluster)": "warn",
    }
    assert checks["numpy"].found == "1.26.4 (needs >=2.0)"
    assert checks["pycocotools (node)"].cure == "pip install 'sipa-cluster[node]'"
    assert checks["ray (cluster)"].found == "2.59.0 (needs ==2.60.0)"


def test_every_finding_that_is_not_ok_has_reason_and_cure() -> None:
    for check in found({}).values():
        assert check.why
        assert check.cure.startswith("pip install")


def test_lines() -> None:
    ok = Check(name="python", state=CheckState.OK, found="3.11", why="w")
    bad = Check(name="load", state=CheckState.FAIL, found="busy", why="noise", cure="wait")
    assert list(check_lines([ok, bad])) == [
        "ok    python  3.11",
        "fail  load    busy",
        "              why:  noise",
        "              cure: wait",
    ]


def test_doctor_of_the_controller(invoke: Invoke) -> None:
    said = invoke("doctor", "--json")
    checks = {each["name"]: each for each in map(json.loads, said.stdout.splitlines())}
    assert said.exit_code == 0
    assert checks["python"]["state"] == "ok"


def test_a_node_without_counters_would_refuse(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "root").mkdir()
    said = invoke("doctor", "--node", "--root", "root")
    assert said.exit_code == 5
    assert "fail  energy counters" in said.stdout
    assert "why: " in said.stdout
