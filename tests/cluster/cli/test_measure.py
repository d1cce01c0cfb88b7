"""`measure`, as a user types it: streams, exit codes, signals, JSON; and what it refuses."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cli.calling import Invoke
from tests.sipa.energy.powercap_tree import LiveFeeder, PowercapTree

COUNT_J = 2 * 61.035e-6


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path / "tree")


@contextlib.contextmanager
def started(tree: PowercapTree, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """`measure` in a session of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", "measure", "--root", str(tree.root), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run(tree: PowercapTree, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    with started(tree, *arguments) as process:
        out, err = process.communicate(stdin, timeout=120)
    # Other tests measure too, and there is one lock on this machine.
    talk = [line for line in err.splitlines(keepends=True) if not line.startswith("waiting: ")]
    return subprocess.CompletedProcess(process.args, process.returncode, out, "".join(talk))


def spend(tree: PowercapTree, domain: str, joules: float) -> str:
    """A shell command that lets a counter advance."""
    file = tree.path(domain)
    return f"echo $(($(cat {file}) + {round(joules * 1e6)})) > {file}"


def test_the_report_is_talk_and_the_streams_are_the_commands(tree: PowercapTree) -> None:
    ended = run(tree, "--", "sh", "-c", "cat; echo oops >&2; sleep 0.2", stdin="typed\n")
    assert ended.returncode == 0
    assert ended.stdout == "typed\n"
    assert ended.stderr.startswith("oops\n\n Energy of sh -c ")
    assert "total = pkg0 + pkg1 + dram0 + dram1" in ended.stderr


def test_joules_of_a_live_machine(tree: PowercapTree) -> None:
    """The true energy lies between what was fed while the command surely ran and what was fed in all."""
    begun, end = tree.root / "begun", tree.root / "end"
    tree.wraps_after("pkg0", 30.0)
    with LiveFeeder(tree, {"pkg0": 65.0, "pkg1": 50.0, "dram0": 12.0, "dram1": 8.0}):
        before_j = fed_j(tree)
        script = f"touch {begun}; while [ ! -e {end} ]; do sleep 0.01; done"
        with started(tree, "--json", "--", "sh", "-c", script) as process:
            until_there(begun)
            inner_j = -fed_j(tree)
            time.sleep(0.7)
            inner_j += fed_j(tree)
            end.touch()
            out, _ = process.communicate(timeout=120)
        outer_j = fed_j(tree) - before_j
    found = json.loads(out)["runs"][0]
    assert 20 < inner_j <= found["energy_total_j"] + 4 * COUNT_J
    assert found["energy_total_j"] <= outer_j + 4 * COUNT_J
    assert found["energy_total_j"] == pytest.approx(sum(each["energy_j"] for each in found["domains"].values()))


def fed_j(tree: PowercapTree) -> float:
    return sum(map(tree.energy_j, tree.ids))


def test_joules_to_the_count(tree: PowercapTree) -> None:
    script = f"{spend(tree, 'pkg0', 12.5)}; {spend(tree, 'dram1', 1.5)}; sleep 0.2; exit 3"
    ended = run(tree, "--json", "sh", "-c", script)
    found = json.loads(ended.stdout)
    assert ended.returncode == found["exit_code"] == 3
    assert found["runs"][0]["energy_total_j"] == pytest.approx(14.0, abs=2 * COUNT_J)
    assert found["runs"][0]["energy_pkg0_j"] == pytest.approx(12.5, abs=COUNT_J)
    assert found["command"] == ["sh", "-c", script]


def test_json_has_standard_output_for_itself(tree: PowercapTree) -> None:
    ended = run(tree, "--json", "--repeat", "2", "--idle", "0.1", "--", "sh", "-c", "echo hello")
    assert json.loads(ended.stdout)["statistics"]["window_s"]["n"] == 2
    assert ended.stderr.splitlines() == [
        "idle for 0.1 s before the command",
        "run 1 of 2",
        "hello",
        "run 2 of 2",
        "hello",
        "idle for 0.1 s after the command",
    ]


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_a_file_leaves_both_streams_to_the_command(tree: PowercapTree, tmp_path: Path, json_option: list[str]) -> None:
    path = tmp_path / "report"
    path.write_text("an older and much longer report\n" * 100)
    ended = run(tree, *json_option, "--output", str(path), "--", "sh", "-c", "echo out; echo err >&2")
    assert (ended.stdout, ended.stderr) == ("out\n", "err\n")
    report = path.read_text()
    assert "older" not in report
    if json_option:
        assert json.loads(report)["exit_code"] == 0
    else:
        assert "Energy of sh -c" in report


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
        (["sh", "-c", "exit 125"], 125),
    ],
)
def test_the_exit_code_is_the_commands(tree: PowercapTree, command: list[str], code: int) -> None:
    ended = run(tree, "--", *command)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert code not in (126, 127) or ended.stderr.endswith(": nothing was measured\n")


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_a_report_that_is_lost_is_no_success(tree: PowercapTree, json_option: list[str]) -> None:
    ended = run(tree, *json_option, "--output", "/dev/full", "true")
    assert ended.returncode == 125
    assert ended.stderr == "error: the report could not be written: No space left on device\n"


def test_json_that_nobody_reads_is_no_success(tree: PowercapTree) -> None:
    words = [sys.executable, "-m", "cluster.cli", "measure", "--json", "--root", str(tree.root), "true"]
    script = '{ "$@"; echo $? >&2; } | true'
    ended = subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == "125"
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_closed_standard_output_is_no_defect(tree: PowercapTree) -> None:
    words = [sys.executable, "-m", "cluster.cli", "measure", "--json", "--root", str(tree.root), "true"]
    ended = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0


def test_options_after_the_command_are_the_commands(tree: PowercapTree) -> None:
    ended = run(tree, "echo", "--json", "-n", "--repeat", "3")
    assert ended.stdout == "--json -n --repeat 3\n"


def test_ctrl_c_ends_the_command_and_not_the_report(tree: PowercapTree) -> None:
    ready = tree.root / "ready"
    script = f"trap 'exit 5' INT; touch {ready}; while :; do sleep 0.05; done"
    with started(tree, "--repeat", "3", "--idle", "0.1", "--", "sh", "-c", script) as process:
        until_there(ready)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 5
    assert "exited with 5; stopped after run 1 of 3" in err
    assert "not measured after" in err


def test_a_signal_to_measure_goes_to_the_command(tree: PowercapTree) -> None:
    ready = tree.root / "ready"
    with started(tree, "--", "sh", "-c", f"touch {ready}; exec sleep 600") as process:
        until_there(ready)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "was killed by SIGTERM" in err


def test_the_model_is_an_estimate_and_asked_for_by_name(tree: PowercapTree) -> None:
    (tree.root / "proc/stat").unlink()
    (tree.root / "proc/stat").symlink_to("/proc/stat")
    ended = run(tree, "--meter", "model", "--idle-w", "60", "--max-w", "165", "--", "sleep", "0.2")
    assert ended.returncode == 0
    assert [line for line in ended.stderr.splitlines() if " J" in line and "ESTIMATE" not in line] == []
    assert "ESTIMATE of the model meter: 60 W idle and 165 W busy, as declared" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        (["--metre", "powercap", "true"], "No such option"),
        (["--meter", "powrcap", "true"], "'powercap', 'perf', 'model'"),
        (["--repeat", "0", "true"], "--repeat"),
        (["--idle", "nan", "true"], "is not between 0 and 86400 seconds"),
        (["--idle", "-1", "true"], "is not between 0 and 86400 seconds"),
        (["--meter", "model", "true"], "--idle-w W --max-w W"),
        (["--idle-w", "5", "true"], "are for --meter model"),
        (["--meter", "model", "--idle-w", "9", "--max-w", "5", "true"], "0 <= idle_w <= max_w"),
        (["--output", "no/such/folder/report", "true"], "no/such/folder/report: cannot be written"),
        (["--root", ".", "touch", "ran"], "On this command line: --meter model --idle-w W --max-w W"),
    ],
)
def test_what_measure_cannot_do_is_125_and_nothing_runs(arguments: list[str], words: str, invoke: Invoke) -> None:
    said = invoke("measure", *arguments)
    assert said.exit_code == 125
    assert said.stdout == ""
    assert words in said.stderr
    assert "error: " in said.stderr
    assert "Traceback" not in said.stderr
    assert not Path("ran").exists()


def test_what_is_refused_makes_no_file_and_empties_none(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "older").write_text("a report")
    for name in ("new", "older"):
        assert invoke("measure", "--root", str(tmp_path), "--output", str(tmp_path / name), "true").exit_code == 125
    assert sorted(path.name for path in tmp_path.iterdir()) == ["older"]
    assert (tmp_path / "older").read_text() == "a report"


def test_help_names_the_exit_codes_and_loads_nothing_heavy(invoke: Invoke) -> None:
    said = invoke("measure", "--help")
    assert all(word in said.stdout for word in ("128+N", "127", "126", "125", "standard error"))
    code = (
        "import sys\n"
        "from cluster.cli import main\n"
        "try: main(['measure', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'jobs', 'numpy', 'scipy', 'pandas', 'pydantic', 'rich', 'sipa.energy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "[]"


def until_there(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
