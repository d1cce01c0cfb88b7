"""What a newcomer does in the first minutes with a program of hers: init, run, summarize, report."""

from pathlib import Path

import pytest

from tests.cluster.cli.calling import Invoke
from tests.cluster.sweeps import fast


@pytest.mark.parametrize("kind", ["command"])
def test_the_starter_file_runs_and_is_reported(kind: str, invoke: Invoke) -> None:
    assert invoke("init", "mine", "--kind", kind).exit_code == 0
    text = Path("mine.toml").read_text()
    quick = text.replace("idle_s = 2 ", "idle_s = 0 ").replace("min_window_s = 3 ", "min_window_s = 0.1 ")
    Path("mine.toml").write_text(quick.replace("repetitions = 3 ", "repetitions = 2 ").replace("[1, 6, 9]", "[1, 6]"))
    assert invoke("run", "mine.toml").exit_code == 0
    assert "megabyte" in invoke("summarize", "mine").stdout
    said = invoke("report", "mine")
    assert said.exit_code == 0, said.stderr
    page = Path(said.stdout.strip()).read_text()
    measured = page[page.index("What is measured") : page.index("Failures and flags")]
    assert "numbers" not in measured


def test_a_factor_of_one_level_is_no_finding(invoke: Invoke) -> None:
    Path("s.toml").write_text(fast(command="true {aa} {bb}", factors={"aa": "[11]", "bb": "['x', 'y']"}))
    assert invoke("run", "s.toml").exit_code == 0
    assert invoke("report", "fast").exit_code == 0
    assert "aa" not in invoke("summarize", "fast").stdout.splitlines()[0].split()


def test_a_program_that_may_change_unnoticed_is_named(invoke: Invoke) -> None:
    Path("p.py").write_text("pass")
    Path("s.toml").write_text(fast(command="python p.py {x}", factors={"x": "[1]"}, repetitions=1))
    for command in ("plan", "run"):
        assert 'inputs = ["p.py"]' in invoke(command, "s.toml").stderr
    watched = fast(command="python p.py {x}").replace("[factors]", 'inputs = ["p.py"]\n\n[factors]')
    Path("s.toml").write_text(watched)
    assert "note" not in invoke("plan", "s.toml").stderr


def test_a_key_that_does_nothing_is_refused(invoke: Invoke) -> None:
    Path("s.toml").write_text(fast().replace("[factors]", "deadline_s = 3\n\n[factors]"))
    said = invoke("plan", "s.toml")
    assert said.exit_code == 2
    assert "workload.deadline_s: unknown key" in said.stderr
