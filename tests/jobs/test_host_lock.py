"""The node's lock: one file for all users, whoever made it."""

import os
from pathlib import Path

import pytest

from jobs.lock import NAME, default_path, exclusive
from sipa.errors import HostError


def test_the_lock_is_the_one_that_is_there_whoever_made_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    assert default_path((first, second)) == first / NAME
    (second / NAME).touch(0o444)
    assert default_path((first, second)) == second / NAME
    with pytest.raises(HostError, match="touch"):
        default_path((tmp_path / "nowhere",))


def test_a_lock_file_of_another_user_locks_as_well(tmp_path: Path) -> None:
    """Reading is enough for flock: root's file keeps a user out, and the other way round."""
    path = tmp_path / NAME
    path.touch(0o444)
    with (
        exclusive(path, waiting=lambda _: None, give_up=lambda: False),
        pytest.raises(HostError, match="holds the lock"),
        exclusive(path, waiting=lambda _: None, give_up=lambda: True),
    ):
        pytest.fail("both hold the lock")


def test_what_others_wrote_into_the_lock_file_is_no_matter(tmp_path: Path) -> None:
    path, said = tmp_path / NAME, list[str]()
    with exclusive(path, waiting=lambda _: None, give_up=lambda: False):
        path.write_bytes(b"\xff\xfe")
        gave_up = iter([False, True])
        with (
            pytest.raises(HostError, match="holds the lock"),
            exclusive(path, waiting=said.append, give_up=lambda: next(gave_up), poll_s=0.01),
        ):
            pytest.fail("both hold the lock")
    assert "another measurement" in said[0]


def test_a_planted_link_is_refused_and_what_it_leads_to_is_not_emptied(tmp_path: Path) -> None:
    """The folder is writable for everybody, and the holder writes its process id into the file."""
    precious = tmp_path / "precious"
    precious.write_text("kept\n")
    (tmp_path / NAME).symlink_to(precious)
    with (
        pytest.raises(HostError, match=r"no plain file.*Cure: sudo rm"),
        exclusive(tmp_path / NAME, waiting=lambda _: None, give_up=lambda: True),
    ):
        pytest.fail("a link was taken for the lock")
    assert precious.read_text() == "kept\n"


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be two users")
def test_two_users_share_one_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    with exclusive(tmp_path / NAME, waiting=lambda _: None, give_up=lambda: False):
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                with exclusive(tmp_path / NAME, waiting=lambda _: None, give_up=lambda: True):
                    os._exit(1)
            except HostError as error:
                os._exit(0 if "holds the lock" in str(error) else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
