"""`doctor`: what is found, why it matters, the cure; and whether measuring would be refused."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.cli.doctor import check_lines
from cluster.cli.packages import package_checks
from jobs.host import knobs
from jobs.preflight import Check, CheckState
from tests.cluster.cli.calling import Invoke
from tests.jobs.host_tree import HostTree
from tests.jobs.orders import measurement

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
    note = Check(name="SMT", state=CheckState.INFO, found="on", why="w", cure="none", group="processor")
    bad = Check(
        name="load",
        state=CheckState.FAIL,
        found="busy",
        why="noise is in every number that is read here and nowhere else, which nobody can take out later",
        cure="end it, then wait:",
        commands=("top", "echo a command that is longer than the line is wide, and is never folded for all that"),
        group="quiet",
    )
    assert list(check_lines([ok, note, bad], width=60)) == [
        "software",
        "  ok    python  3.11",
        "",
        "processor",
        "  info  SMT  on",
        "",
        "quiet",
        "  FAIL  load  busy",
        "        why   noise is in every number that is read here and",
        "              nowhere else, which nobody can take out later",
        "        cure  end it, then wait:",
        "              top",
        "              echo a command that is longer than the line is wide, and is never folded for all that",
        "",
        "measured energy is refused here: load; 0 warnings",
    ]


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({}, "all is well"),
        ({"load": "warn"}, "nothing fails; 1 warning"),
        ({"numpy": "fail", "load": "warn"}, "not usable as it is: numpy; 1 warning"),
        ({"numpy": "fail", "counters": "fail"}, "measured energy is refused here: numpy, counters; 0 warnings"),
    ],
)
def test_what_it_all_comes_to(states: dict[str, str], words: str) -> None:
    groups = {"numpy": "software"}
    found = [
        Check(name=name, state=CheckState(state), found="f", why="w", group=groups.get(name, "energy"))
        for name, state in states.items()
    ]
    assert list(check_lines(found))[-1] == words


def test_doctor_of_the_controller(invoke: Invoke) -> None:
    said = invoke("doctor", "--json")
    checks = {each["name"]: each for each in map(json.loads, said.stdout.splitlines())}
    assert said.exit_code == 0
    assert checks["python"]["state"] == "ok"


def test_a_node_without_counters_would_refuse(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "root").mkdir()
    said = invoke("doctor", "--node", "--root", "root")
    assert said.exit_code == 5
    assert "FAIL  counters " in said.stdout
    assert "        why   " in said.stdout
    assert " sudo modprobe intel_rapl_msr\n" in said.stdout


def test_a_node_that_may_measure(tmp_path: Path, invoke: Invoke) -> None:
    tree = HostTree(tmp_path / "root")
    said = invoke("doctor", "--node", "--root", tree.root)
    assert said.exit_code == 0
    assert "  ok    counters       powercap, readable\n" in said.stdout
    assert said.stdout.splitlines()[-1].startswith("nothing fails; ")
    lines = invoke("doctor", "--node", "--root", tree.root, "--json").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert {each["group"] for each in records} == {"software", "energy", "processor", "quiet", "sweeps"}
    assert {each["state"] for each in records} <= {"ok", "info", "warn"}


def test_what_a_killed_sweep_left_is_shown_and_restored(tmp_path: Path, invoke: Invoke) -> None:
    tree = HostTree(tmp_path / "root")
    with knobs(measurement(governor="performance"), root=tree.root):
        (journal,) = tree.path("run/lock").glob("*.jsonl")
        kept = journal.read_bytes()
    tree.set_governor("performance")
    journal.write_bytes(kept)
    assert "sipa-cluster doctor --node --restore" in invoke("doctor", "--node", "--root", tree.root).stdout
    said = invoke("doctor", "--node", "--restore", "--root", tree.root)
    assert said.stderr.count("performance -> powersave") == 4
    assert tree.governors() == ["powersave"] * 4
    assert "nothing to restore" in invoke("doctor", "--restore", "--root", tree.root).stderr
