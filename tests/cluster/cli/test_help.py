"""Every command has help and an example and stands in the README; errors say what to do; help is quick."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cluster.cli import SECTIONS, cli
from cluster.cli.lazy import did_you_mean
from sipa import __version__
from tests.cluster.cli.calling import Invoke

COMMANDS = [name for section in SECTIONS.values() for name in section]
README = Path(__file__).parents[3] / "README.md"
HEAVY = {"pandas", "pyarrow", "numpy", "pydantic", "rich", "scipy", "matplotlib", "jinja2", "ray", "torch", "sipa.spec"}


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_sentence_and_an_example(name: str, invoke: Invoke) -> None:
    said = invoke(name, "--help")
    assert said.exit_code == 0
    assert f"sipa-cluster {name}" in said.stdout.partition("Example:")[2]
    assert command(name).get_short_help_str(66).endswith("."), "the first sentence fits into the list of commands"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in command(name).params)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_every_value_a_name(name: str) -> None:
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.is_flag or parameter.metavar or isinstance(parameter.type, click.Choice), parameter.name


def test_readme_shows_every_command() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"sipa-cluster {name}" not in text] == []


def test_help_lists_every_command_in_its_section(invoke: Invoke) -> None:
    said = invoke("--help")
    assert [line.split()[0] for line in said.stdout.splitlines() if line[2:].split(" ")[0] in COMMANDS] == COMMANDS
    assert all(f"{heading}:" in said.stdout for heading in SECTIONS)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io, json\n"
        "from cluster.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert HEAVY.isdisjoint(loaded)


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout == f"sipa-cluster {__version__}\n"


def test_no_command_is_help_and_an_error(invoke: Invoke) -> None:
    said = invoke()
    assert said.exit_code == 2
    assert "Measure:" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["pln"], "no such command: 'pln'. Did you mean 'plan'?"),
        (["plan", "--jsn", "x.toml"], "--json"),
        (["xyzzy"], "error: no such command: 'xyzzy'."),
        (["run"], "Missing argument 'SWEEP.toml'"),
        (["run", "there-is-none.toml"], "does not exist"),
        (["init", "--kind", "detektion"], "'detection', 'command'"),
        (["status", "nothing"], "There is no sweep below results yet."),
    ],
)
def test_usage_errors(arguments: list[str], hint: str, invoke: Invoke) -> None:
    said = invoke(*arguments)
    assert said.exit_code == 2
    assert said.stdout == ""
    assert "error: " in said.stderr
    assert hint in said.stderr
    assert "Traceback" not in said.stderr


def test_did_you_mean_names_only_what_is_near() -> None:
    assert did_you_mean("statsu", COMMANDS) == " Did you mean 'status'?"
    assert did_you_mean("zzzzzz", COMMANDS) == ""


def test_all_problems_of_a_sweep_file_at_once(invoke: Invoke) -> None:
    Path("bad.toml").write_text('schema = 1\nname = "Bad"\n[workload]\nkind = "detection"\n[design]\nrepeat = 3\n')
    said = invoke("plan", "bad.toml")
    lines = said.stderr.splitlines()
    assert said.exit_code == 2
    assert len(lines) >= 3
    assert all(line.startswith("bad.toml:") for line in lines)
    assert any("repeat" in line for line in lines)


def test_a_defect_shows_its_traceback_and_says_what_it_is() -> None:
    code = (
        "import click\n"
        "from cluster.cli import cli, main\n"
        "@click.command()\n"
        "def broken(): raise ZeroDivisionError('planned by a test')\n"
        "cli.add_command(broken)\n"
        "cli._homes['broken'] = '__main__'\n"
        "main(['broken'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("This is a defect of sipa-cluster")


@pytest.mark.parametrize("arguments", [["--help"], ["schema"], ["doctor"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        talk = process.stderr.read()
    assert talk == b""


def test_ctrl_c_is_130() -> None:
    code = (
        "import click\n"
        "from cluster.cli import cli, main\n"
        "@click.command()\n"
        "def stopped(): raise KeyboardInterrupt\n"
        "cli._homes['stopped'] = '__main__'\n"
        "main(['stopped'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert ended.stderr.strip() == "interrupted"
