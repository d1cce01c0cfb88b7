"""A user who may not turn the knobs, and sudo: asked without a password, once a value."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.host import journal, restore_left_behind
from jobs.host.settings import Setting, _write_with_sudo, differing, write
from sipa.errors import HostError
from tests.jobs.host_tree import CPU, HostTree
from tests.jobs.orders import measurement
from tests.sipa.energy.process import in_child

NOBODY = 65534


def as_nobody(work: Callable[[], object]) -> object:
    """What `work` returns, or the error that it raises, as another user."""

    def tried() -> object:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            return work()
        except HostError as error:
            return str(error)

    return in_child(tried)


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    tree = HostTree(tmp_path)
    tree.write("run/lock/sipa-knobs.lock", "")
    tree.path("run/lock").chmod(0o1777)
    return tree


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_who_may_not_is_told_what_to_type(tree: HostTree) -> None:
    settings = differing(measurement(governor="performance"), tree.root)
    said = as_nobody(lambda: write(settings, tree.root))
    assert isinstance(said, str)
    assert "policy0/scaling_governor: cannot be set to 'performance': Permission denied" in said
    assert f"Cure: echo performance | sudo tee {tree.root}/{CPU}/cpufreq/policy*/scaling_governor" in said
    assert tree.governors() == ["powersave"] * 4


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_file_of_another_user_in_the_place_of_a_journal_is_named(tree: HostTree) -> None:
    path = tree.write(f"run/lock/sipa-knobs.{NOBODY}.jsonl", "{}\n")
    settings = differing(measurement(governor="performance"), tree.root)
    said = as_nobody(lambda: journal.write(path, settings, session="s", root=tree.root))
    assert str(said).startswith(f"{path}: is not ours, but has the name of our journal.")
    assert str(said).endswith(f"Cure: sudo rm {path}")
    assert as_nobody(lambda: len(restore_left_behind(tree.root))) == 0
    assert path.read_text() == "{}\n"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_what_root_left_behind_is_told_to_a_user_who_cannot_restore_it(tree: HostTree) -> None:
    settings = differing(measurement(governor="performance"), tree.root)
    journal.write(tree.path("run/lock/sipa-knobs.0.jsonl"), settings, session="s", root=tree.root)
    tree.set_governor("performance")
    said = as_nobody(lambda: len(restore_left_behind(tree.root)))
    assert "the host is not as it was before the sweep" in str(said)
    assert "echo powersave | sudo tee" in str(said)
    assert len(restore_left_behind(tree.root)) == 4


def test_sudo_gets_all_files_of_a_value_in_one_call(tmp_path: Path) -> None:
    """With a sudo that only writes down how it was called.

    `-k`: a password that was typed before the sweep must not turn knobs that nobody can turn back hours later.
    """
    called, sudo = tmp_path / "called", tmp_path / "sudo"
    sudo.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {called}\ncat >> {called}\nexit 1\n')
    sudo.chmod(0o755)
    before, os.environ["PATH"] = os.environ["PATH"], f"{tmp_path}:{os.environ['PATH']}"
    try:
        assert shutil.which("sudo") == str(sudo)
        wanted = [Setting(path=f"/p{n}", old="a", wanted="performance") for n in range(3)]
        assert "sudo -n said" in (_write_with_sudo(wanted) or "")
    finally:
        os.environ["PATH"] = before
    assert called.read_text() == "-n -k tee -- /p0 /p1 /p2\nperformance\n"
