"""The journal of the knobs lies where everybody may write: what others put there changes nothing."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.host import journal, knobs, restore_left_behind
from jobs.host.lock import NAME, folder_of, opened
from jobs.host.restoring import own_journal, restore_session
from jobs.host.settings import Setting
from sipa.errors import HostError
from tests.jobs.host_tree import BOOT_ID, CPU, HostTree
from tests.jobs.orders import measurement

NOBODY = 65534
GOVERNOR = f"/{CPU}/cpufreq/policy0/scaling_governor"


def record(path: str = GOVERNOR, *, old: str = "performance", wanted: str = "powersave", **more: Any) -> dict[str, Any]:
    """By default: put the governor of the first CPUs to `performance`, where it is `powersave`."""
    known = {"path": path, "old": old, "wanted": wanted, "session": "s", "pid": 1, "boot_id": BOOT_ID}
    return known | more


def planted(tree: HostTree, *records: object) -> Path:
    path = own_journal(tree.root)
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    path.chmod(0o644)
    return path


def test_a_journal_of_ours_is_believed(tmp_path: Path) -> None:
    """The opposite of what follows, so that it cannot pass by accident."""
    tree = HostTree(tmp_path)
    planted(tree, record())
    assert len(restore_left_behind(tree.root)) == 1
    assert tree.governors()[0] == "performance"


@pytest.mark.parametrize(
    "each",
    [
        record("/etc/passwd", old="x", wanted="root"),
        record(f"/{CPU}/cpufreq/policy0/../../../../../../etc/shadow", old="x", wanted="y"),
        record(f"/{CPU}/cpufreq/policy0/scaling_max_freq", old="1", wanted="0"),
        record(old="performance\n# more"),
        record(old="a" * 16),
        record(f"/{CPU}/intel_pstate/no_turbo", old="2", wanted="0"),
        record(pid="1"),
        record(boot_id="another"),
        ["a", "list"],
        {"path": GOVERNOR},
        "text",
    ],
)
def test_what_is_no_setting_of_a_knob_is_not_written(tmp_path: Path, each: object) -> None:
    tree = HostTree(tmp_path)
    tree.write("etc/passwd", "root\n")
    path = planted(tree, each)
    assert restore_left_behind(tree.root) == ()
    assert tree.governors() == ["powersave"] * 4
    assert tree.path("etc/passwd").read_text() == "root\n"
    assert not path.exists()


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _writable(path: Path) -> None:
    path.chmod(0o666)


def _foreign(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")


@pytest.mark.parametrize(
    "spoil", [_linked, _piped, _writable, pytest.param(_foreign, marks=[pytest.mark.root, needs_root])]
)
def test_a_file_that_is_not_ours_alone_is_not_believed_and_not_written_to(tmp_path: Path, spoil: Any) -> None:
    tree = HostTree(tmp_path)
    path = planted(tree, record())
    spoil(path)
    before = path.lstat()
    assert restore_left_behind(tree.root) == ()
    assert tree.governors() == ["powersave"] * 4
    with (
        pytest.raises(HostError, match=rf"{path}: is not ours.*sudo rm {path}"),
        knobs(measurement(governor="performance"), root=tree.root),
    ):
        pytest.fail("it was set")
    assert tree.governors() == ["powersave"] * 4
    assert path.lstat() == before


def test_a_guardian_that_waited_too_long_leaves_the_journal_of_the_next_session(tmp_path: Path) -> None:
    """Its session was killed; while it waits for the lock, the next one restores, sets and writes a journal anew."""
    tree = HostTree(tmp_path)
    path, settings = own_journal(tree.root), (Setting(path=GOVERNOR, old="powersave", wanted="performance"),)
    with opened(tree.root):
        journal.write(path, settings, session="killed", root=tree.root)

    def overtaken() -> None:
        journal.remove(path)
        journal.write(path, settings, session="next", root=tree.root)
        tree.set_governor("performance", 0)

    assert restore_session("killed", tree.root, wait=overtaken) == ()
    assert tree.governors()[0] == "performance", "the next session still measures"
    assert len(restore_session("next", tree.root)) == 1
    assert tree.governors()[0] == "powersave"


def test_our_own_is_readable_for_all_and_writable_for_us(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with knobs(measurement(governor="performance"), root=tree.root):
        path = own_journal(tree.root)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        first = json.loads(path.read_text().splitlines()[0])
    assert first["pid"] == os.getpid()
    assert (first["path"], first["old"], first["wanted"]) == (GOVERNOR, "powersave", "performance")
    assert first["boot_id"] == BOOT_ID


@given(
    st.lists(
        st.fixed_dictionaries(
            {name: st.text() | st.integers() | st.sampled_from([GOVERNOR, "performance", "1"]) for name in record()}
        )
        | st.binary()
    )
)
def test_no_journal_gives_a_path_outside(tmp_path_factory: pytest.TempPathFactory, records: list[Any]) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    path.write_bytes(
        b"".join(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in records)
    )
    path.chmod(0o600)
    for entry in journal.read(path, (os.geteuid(),)) or ():
        assert entry.setting == Setting(path=entry.setting.path, old=entry.setting.old, wanted=entry.setting.wanted)
        assert entry.setting.path in (GOVERNOR,)
        assert "\n" not in entry.setting.old + entry.setting.wanted


def test_lock_and_journals_are_where_the_lock_is_that_others_use(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    assert folder_of(Path("/"), (first, second)) == first
    (second / NAME).touch()
    assert folder_of(Path("/"), (first, second)) == second
    assert folder_of(tmp_path) == tmp_path / "run/lock"
    assert folder_of(Path("/"), (tmp_path / "nowhere",)) == tmp_path / "nowhere"


def test_a_lock_that_leads_elsewhere_is_refused_with_its_cure(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    (tree.path("run/lock")).mkdir(parents=True)
    (tree.path("run/lock") / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match=r"sudo rm -f .* && sudo touch"), opened(tree.root):
        pytest.fail("it was opened")
