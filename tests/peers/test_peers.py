"""Ours beside Zeus, CodeCarbon and pyJoules, all unmodified, on one fake machine: what each says of the same window.

Only our column is asserted: the others may be mended any day, and the table then says so.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.peers.sandbox import Running, Sandbox, ask_all, why_no_peers, why_not
from tests.peers.scenarios import DENIED, DRAM, SCENARIOS, VANISHED, Scenario
from tests.peers.table import cell, is_true, table

COLUMNS = {
    "zeus": "Zeus 0.16.0",
    "pyjoules": "pyJoules 0.5.1",
    "codecarbon": "CodeCarbon 3.3.2, offline",
    "ours": "ours",
}
WARM_UP_S = 4.0
"""Zeus starts a process a counter in its first window; its interpreters must be up before it can see a wrap."""
AT_ONCE = 2
NOT_RUN = "not run: only root can become nobody"

Answers = dict[str, dict[str, Any]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user nobody may use too."""
    with tempfile.TemporaryDirectory(prefix="sipa-peers-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def run(scenario: Scenario, folder: Path, tools: tuple[str, ...]) -> Answers:
    """Open all meters, have them measure one window at the same time, and ask what they found."""
    home = folder / "home"
    home.mkdir(parents=True)
    home.chmod(0o777)
    tree = scenario.build(folder / "machine")
    sandbox = Sandbox(root=tree.root, home=home, nobody=scenario.nobody)
    with ExitStack() as stack:
        meters = [stack.enter_context(Running(sandbox, tool)) for tool in tools]
        answers = ask_all(meters, "open")
        answers |= ask_all(_well(meters, answers), "begin")
        time.sleep(WARM_UP_S if len(tools) > 1 else 0)
        ask_all(_well(meters, answers), "end")
        for domain, joules in scenario.before_j.items():
            tree.advance(domain, joules)
        answers |= ask_all(_well(meters, answers), "begin")
        scenario.draw(tree)
        return answers | ask_all(_well(meters, answers), "end")


def _well(meters: list[Running], answers: Answers) -> list[Running]:
    return [meter for meter in meters if "error" not in answers[meter.tool]]


def assert_ours(scenario: Scenario, ours: Mapping[str, Any]) -> None:
    """Right, or a plain word about why not."""
    if ours.get("error") == NOT_RUN:
        return
    if scenario is DENIED:
        assert "permission denied" in ours["error"]
        assert "sipa-energy" in ours["error"]
    elif scenario is VANISHED:
        assert ours["package"] == {"0": None, "1": pytest.approx(scenario.joules["pkg1"], rel=1e-6)}
        assert ours["total"] == {"all": None}
        assert "vanished" in ours["reason"]
    else:
        assert is_true(ours, scenario), ours
        truth_j = sum(sum(scenario.truth_j(kind).values()) for kind in ("package", "dram"))
        assert ours["total"]["all"] == pytest.approx(truth_j, abs=1e-3)
        assert (ours["reason"], ours["flags"]) == (None, [])


def why_not_here(scenario: Scenario) -> str | None:
    return "not run: only root can become nobody" if scenario.nobody and os.geteuid() != 0 else None


def run_all(folder: Path, at_once: int, tools: tuple[str, ...] = ()) -> list[tuple[Scenario, Answers]]:
    """What the meters said in every scenario; `tools` instead of those that take part in it."""

    def one(numbered: tuple[int, Scenario]) -> Answers:
        number, scenario = numbered
        chosen = tools or scenario.tools
        if scenario.nobody and os.geteuid() != 0:
            return {tool: {"error": NOT_RUN} for tool in chosen}
        return run(scenario, folder / str(number), chosen)

    with ThreadPoolExecutor(at_once) as pool:
        return list(zip(SCENARIOS, pool.map(one, enumerate(SCENARIOS)), strict=True))


def test_ours_where_it_reads_the_real_path(folder: Path) -> None:
    """Without a root of its own: what it finds at /sys, as a user's program has it."""
    if reason := why_not():
        pytest.skip(reason)
    for scenario, found in run_all(folder, len(SCENARIOS), ("ours",)):
        assert_ours(scenario, found["ours"])


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_beside_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if reason := why_no_peers():
        pytest.skip(reason)

    answers = run_all(folder, AT_ONCE)
    cells = {
        scenario.name: {
            title: cell(found.get(f"{tool}-dram" if scenario is DRAM and tool == "codecarbon" else tool), scenario)
            for tool, title in COLUMNS.items()
        }
        for scenario, found in answers
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{table(cells, list(COLUMNS.values()))}\n")
    for scenario, found in answers:
        assert_ours(scenario, found["ours"])
