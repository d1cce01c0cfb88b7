"""What is left of the knobs when processes are killed: real `kill -9`, of the session, of its guardian, of both."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.host import knobs, left_behind, restore_left_behind, user
from sipa.errors import HostError
from tests.jobs.host_tree import HostTree
from tests.jobs.knob_holder import guardians, holding, start, wait_until
from tests.jobs.orders import measurement


def as_before(tree: HostTree) -> bool:
    return tree.governors() == ["powersave"] * 4 and tree.turbo


def journals(tree: HostTree) -> list[Path]:
    return list(tree.path("run/lock").glob("*.jsonl"))


def abandoned(tree: HostTree) -> None:
    """A session and its guardian killed."""
    with holding(tree.root) as process:
        for pid in guardians(tree.root):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not guardians(tree.root))
        process.kill()
        process.wait()


def test_a_killed_session_is_cleaned_up_after_by_its_guardian(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with holding(tree.root) as process:
        assert tree.governors() == ["performance"] * 4
        process.kill()
        wait_until(lambda: as_before(tree) and not guardians(tree.root))
    assert not journals(tree)


def test_the_guardian_is_in_no_session_or_group_of_the_sweep_and_only_sleeps(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with holding(tree.root) as process:
        (pid,) = guardians(tree.root)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        assert os.getsid(pid) != os.getsid(process.pid)
        assert os.getpgid(pid) != os.getpgid(process.pid)
        assert int(fields[1]) != process.pid
        wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        process.kill()
        wait_until(lambda: as_before(tree))


@pytest.mark.parametrize("unwinds", [True, False])
def test_a_terminated_session_is_restored_by_itself_or_by_its_guardian(tmp_path: Path, unwinds: bool) -> None:
    tree = HostTree(tmp_path)
    with holding(tree.root, "performance", *(["unwinds"] if unwinds else [])) as process:
        process.terminate()
        assert process.wait() == (0 if unwinds else -signal.SIGTERM)
        if unwinds:
            assert as_before(tree)
        wait_until(lambda: as_before(tree) and not guardians(tree.root))


def test_what_both_killed_left_is_healed_by_whoever_comes_next(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    abandoned(tree)
    assert tree.governors() == ["performance"] * 4
    assert user(tree.root) is None
    assert len(left_behind(tree.root)) == 5
    restored = restore_left_behind(tree.root)
    assert as_before(tree)
    assert restored[0].path.endswith("no_turbo"), "the last one first"
    assert restore_left_behind(tree.root) == left_behind(tree.root) == ()
    assert not journals(tree)


@pytest.mark.parametrize("asked", [{}, {"governor": "powersave"}, {"governor": "performance"}])
def test_the_next_sweep_begins_from_what_was_there_before(tmp_path: Path, asked: dict) -> None:  # type: ignore[type-arg]
    tree = HostTree(tmp_path)
    abandoned(tree)
    with knobs(measurement(**asked), root=tree.root):
        assert tree.turbo
        assert tree.governors() == [asked.get("governor", "powersave")] * 4
    assert as_before(tree)


def test_a_sweep_that_comes_while_a_killed_one_is_being_cleaned_up_waits(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with holding(tree.root) as process:
        process.kill()
        with knobs(measurement(governor="powersave"), root=tree.root, patience_s=60):
            assert tree.governors() == ["powersave"] * 4
    assert as_before(tree)


def test_restoring_by_hand(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    abandoned(tree)
    command = [sys.executable, "-m", "jobs", "restore-host", "--root", str(tree.root)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "no_turbo: 1 -> 0" in ended.stdout
    assert as_before(tree)


def test_knobs_of_another_boot_are_not_ours_to_turn(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    abandoned(tree)
    tree.write("proc/sys/kernel/random/boot_id", "another\n")
    assert left_behind(tree.root) == restore_left_behind(tree.root) == ()
    assert tree.governors() == ["performance"] * 4
    assert not journals(tree)


def test_a_torn_line_is_of_a_knob_that_was_not_turned_yet(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    abandoned(tree)
    (journal,) = journals(tree)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:30])
    restore_left_behind(tree.root)
    assert tree.governors() == ["powersave"] * 4
    assert not tree.turbo
    assert not journals(tree)


def test_a_knob_that_cannot_be_restored_keeps_the_journal_and_says_what_to_type(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    abandoned(tree)
    (journal,) = journals(tree)
    knob = tree.path("sys/devices/system/cpu/cpufreq/policy0/scaling_governor")
    knob.unlink()
    knob.symlink_to("/proc/sys/kernel/ostype")
    journal.write_text(journal.read_text().replace('"wanted":"performance"', '"wanted":"Linux"', 1))
    with pytest.raises(HostError, match=r"not as it was before the sweep.*echo powersave \| sudo tee .*policy0"):
        restore_left_behind(tree.root)
    assert journals(tree)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """From before the journal until after the last knob: then the next one finds all as it was."""
    tree, moments = HostTree(tmp_path), random.Random(3)
    for _ in range(8):
        with start(tree.root) as process:
            wait_until(lambda: bool(journals(tree)))
            time.sleep(moments.uniform(0, 0.2))
            process.kill()
        wait_until(lambda: user(tree.root) is None)
        restore_left_behind(tree.root)
        assert as_before(tree)
        assert not journals(tree)


def test_killed_between_emptying_a_file_and_writing_it(tmp_path: Path) -> None:
    """A made tree has such a moment; /sys has none."""
    tree = HostTree(tmp_path)
    abandoned(tree)
    next(tree.root.glob("sys/devices/system/cpu/cpufreq/policy*/scaling_governor")).write_text("")
    restore_left_behind(tree.root)
    assert as_before(tree)
    assert not journals(tree)
