"""Completion: the scripts of the three shells, and what a press of the tab key finds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.cli.calling import Invoke, Sweep


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_each_shell(shell: str, invoke: Invoke) -> None:
    said = invoke("completion", shell)
    assert said.exit_code == 0
    assert f"_SIPA_CLUSTER_COMPLETE={shell}_complete" in said.stdout
    assert json.loads(invoke("completion", shell, "--json").stdout) == {"shell": shell, "script": said.stdout[:-1]}


def test_unknown_shell(invoke: Invoke) -> None:
    assert invoke("completion", "tcsh").exit_code == 2


def completed(words: str, folder: Path) -> list[str]:
    """What bash would be told after the words; the last one is incomplete."""
    ended = subprocess.run(
        [sys.executable, "-c", "from cluster.cli import main; main()"],
        cwd=folder,
        env={
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "_SIPA_CLUSTER_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in ended.stdout.splitlines() if line]


def test_commands_options_sweeps_and_trials(swept: Sweep, tmp_path: Path) -> None:
    ids = sorted(path.stem for path in (swept.folder / "trials").iterdir())
    assert completed("sipa-cluster sta", tmp_path) == ["status"]
    assert completed("sipa-cluster run --max", tmp_path) == ["--max-failures"]
    assert completed("sipa-cluster status f", tmp_path) == ["fast"]
    assert completed("sipa-cluster logs fast ", tmp_path) == ids
    assert completed(f"sipa-cluster logs fast {ids[0][:6]}", tmp_path) == [ids[0]]
    assert completed("sipa-cluster logs nothing a", tmp_path) == []
