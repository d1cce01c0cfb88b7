"""Governor and turbo: set where asked, restored on every orderly way out, refused with a cure where that cannot be."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.host import differing_knobs, knobs, left_behind, restore_left_behind, user
from jobs.host.lock import opened
from jobs.host.settings import BOOST, NO_TURBO, Setting, commands
from sipa.errors import HostError
from tests.jobs.host_tree import CPU, HostTree
from tests.jobs.knob_holder import guardians, wait_until
from tests.jobs.orders import measurement


def left(tree: HostTree) -> list[str]:
    """Journals that are there."""
    return [path.name for path in tree.path("run/lock").glob("*.jsonl")]


def test_both_are_set_and_restored(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with knobs(measurement(governor="performance", turbo=False), root=tree.root) as changed:
        assert tree.governors() == ["performance"] * 4
        assert not tree.turbo
        assert len(changed) == 5
        assert left(tree)
        assert len(guardians(tree.root)) == 1
        assert differing_knobs(measurement(governor="performance", turbo=False), tree.root) is None
    assert tree.governors() == ["powersave"] * 4
    assert tree.turbo
    assert not left(tree)
    wait_until(lambda: not guardians(tree.root))


def test_an_exception_inside_restores(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with pytest.raises(KeyboardInterrupt), knobs(measurement(governor="performance"), root=tree.root):
        raise KeyboardInterrupt
    assert tree.governors() == ["powersave"] * 4
    assert not left(tree)


@pytest.mark.parametrize("asked", [{}, {"governor": "powersave", "turbo": True}])
def test_where_nothing_is_to_be_set_there_is_no_journal_and_no_guardian(tmp_path: Path, asked: dict) -> None:  # type: ignore[type-arg]
    tree = HostTree(tmp_path)
    with knobs(measurement(**asked), root=tree.root) as changed:
        assert changed == ()
        assert not left(tree)
        assert not guardians(tree.root)


def test_a_sweep_that_asks_for_nothing_keeps_others_from_turning_the_knobs_under_it(tmp_path: Path) -> None:
    """Its trials and the other's take turns, and its fingerprint was read at its start."""
    tree = HostTree(tmp_path)
    with knobs(measurement(), root=tree.root):
        with (
            pytest.raises(HostError, match=r"governor = 'performance', but it is 'powersave'.*another sweep.*Cure"),
            knobs(measurement(governor="performance"), root=tree.root, patience_s=0.1),
        ):
            pytest.fail("the governor changed under a sweep")
        with knobs(measurement(governor="powersave"), root=tree.root) as changed:
            assert changed == ()
    with knobs(measurement(governor="performance"), root=tree.root), knobs(measurement(), root=tree.root):
        assert tree.governors() == ["performance"] * 4
    assert tree.governors() == ["powersave"] * 4


def test_only_what_differs_is_touched(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    tree.set_governor("performance", 1, 2)
    with knobs(measurement(governor="performance"), root=tree.root) as changed:
        assert [each.path for each in changed] == [f"/{CPU}/cpufreq/policy{n}/scaling_governor" for n in (0, 3)]
        assert tree.turbo
    assert tree.governors() == ["powersave", "performance", "performance", "powersave"]


def test_what_somebody_else_turned_meanwhile_stays(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with knobs(measurement(governor="performance", turbo=False), root=tree.root):
        tree.set_governor("schedutil", 2)
    assert tree.governors() == ["powersave", "powersave", "schedutil", "powersave"]
    assert tree.turbo


def test_groups_that_are_offline_are_left_out(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    tree.path(f"{CPU}/cpufreq/policy3/scaling_governor").write_text("")
    with knobs(measurement(governor="performance"), root=tree.root) as changed:
        assert len(changed) == 3


def test_drivers_with_other_files(tmp_path: Path) -> None:
    """acpi-cpufreq has `boost`, which is the other way round; old kernels have a folder in each CPU."""
    tree = HostTree(tmp_path)
    shutil.rmtree(tree.path(f"{CPU}/intel_pstate"))
    tree.write(BOOST[1:], "1\n")
    for cpu in range(4):
        tree.path(f"{CPU}/cpu{cpu}/cpufreq").unlink()
        tree.path(f"{CPU}/cpufreq/policy{cpu}").rename(tree.path(f"{CPU}/cpu{cpu}/cpufreq"))
    with knobs(measurement(governor="performance", turbo=False), root=tree.root) as changed:
        assert {each.path for each in changed} > {BOOST, f"/{CPU}/cpu3/cpufreq/scaling_governor"}
        assert tree.path(BOOST[1:]).read_text() == "0\n"
    assert tree.path(BOOST[1:]).read_text() == "1\n"


@pytest.mark.parametrize(
    ("asked", "gone", "words"),
    [
        ({"governor": "schedutil"}, "", r"intel_pstate\) has only performance, powersave\. Cure: name one"),
        ({"governor": "performance"}, f"{CPU}/cpufreq", "has no governor.*leave the key out"),
        ({"turbo": False}, f"{CPU}/intel_pstate", "neither .*no_turbo nor .*boost.*leave the key out"),
    ],
)
def test_what_the_host_does_not_have_is_refused(tmp_path: Path, asked: dict, gone: str, words: str) -> None:  # type: ignore[type-arg]
    tree = HostTree(tmp_path)
    if gone:
        shutil.rmtree(tree.path(gone))
    with pytest.raises(HostError, match=words), knobs(measurement(**asked), root=tree.root):
        pytest.fail("it was set")
    assert differing_knobs(measurement(**asked), tree.root)
    assert not left(tree)


def test_a_knob_that_cannot_be_written_is_refused_with_the_command_and_the_rest_restored(tmp_path: Path) -> None:
    """/proc/sys/kernel/ostype is for reading only, also for root."""
    tree = HostTree(tmp_path)
    broken = tree.path(f"{CPU}/cpufreq/policy2/scaling_governor")
    broken.unlink()
    broken.symlink_to("/proc/sys/kernel/ostype")
    with (
        pytest.raises(HostError, match=r"policy2.*echo performance \| sudo tee .*policy2/scaling_governor"),
        knobs(measurement(governor="performance", turbo=False), root=tree.root),
    ):
        pytest.fail("it was set")
    assert tree.governors() == ["powersave", "powersave", "Linux", "powersave"]
    assert tree.turbo
    assert not left(tree)
    wait_until(lambda: not guardians(tree.root))


def test_a_knob_that_does_not_keep_its_value_is_refused(tmp_path: Path) -> None:
    """/proc/self/coredump_filter takes `11` and shows `0000000b`."""
    tree = HostTree(tmp_path)
    for cpu in range(4):
        tree.path(f"{CPU}/cpufreq/policy{cpu}/scaling_available_governors").unlink()
    odd = tree.path(f"{CPU}/cpufreq/policy0/scaling_governor")
    before = Path("/proc/self/coredump_filter").read_text()
    odd.unlink()
    odd.symlink_to("/proc/self/coredump_filter")
    with (
        pytest.raises(HostError, match="still says 0000000b: the firmware or another program"),
        knobs(measurement(governor="11"), root=tree.root),
    ):
        pytest.fail("it was set")
    Path("/proc/self/coredump_filter").write_text(f"0x{before}")
    assert tree.governors()[1:] == ["powersave"] * 3


def test_a_trial_finds_what_was_changed_behind_its_back(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    asked = measurement(governor="performance", turbo=False)
    with knobs(asked, root=tree.root):
        tree.set_governor("powersave", 1, 3)
        tree.write(NO_TURBO[1:], "0\n")
        found = differing_knobs(asked, tree.root)
    assert found is not None
    assert "measurement.governor = 'performance', but it is 'powersave' on 2 groups of CPUs" in found
    assert "measurement.turbo = false, but turbo is on" in found
    assert "Cure: " in found


def test_two_sessions_that_want_the_same_share_and_the_last_one_restores(tmp_path: Path) -> None:
    tree, asked = HostTree(tmp_path), measurement(governor="performance", turbo=False)
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(knobs(asked, root=tree.root))
        assert second.enter_context(knobs(asked, root=tree.root)) == ()
        first.close()
        assert tree.governors() == ["performance"] * 4
        assert restore_left_behind(tree.root) == ()
        assert differing_knobs(asked, tree.root) is None
        second.close()
        wait_until(lambda: not guardians(tree.root))
    assert tree.governors() == ["powersave"] * 4
    assert tree.turbo
    assert not left(tree)


def test_a_session_that_wants_others_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    other = measurement(governor="powersave")
    with knobs(measurement(governor="performance"), root=tree.root):
        assert user(tree.root) is not None
        with (
            pytest.raises(HostError, match=r"'powersave', but it is 'performance' .*another sweep \(process \d+\)"),
            knobs(other, root=tree.root, patience_s=0.1),
        ):
            pytest.fail("both set")
        assert tree.governors() == ["performance"] * 4
    with knobs(other, root=tree.root):
        assert tree.governors() == ["powersave"] * 4
    assert user(tree.root) is None


def test_a_session_that_found_all_as_asked_is_not_turned_away_from_it(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with (
        knobs(measurement(governor="powersave"), root=tree.root),
        pytest.raises(HostError, match="another sweep that measures so"),
        knobs(measurement(governor="performance"), root=tree.root, patience_s=0.1),
    ):
        pytest.fail("both set")


def test_a_sweep_that_another_one_keeps_waiting_in_the_middle_of_setting_says_so(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    with opened(tree.root) as other:
        assert other.try_exclusive()
        with (
            pytest.raises(HostError, match="just being set or restored"),
            knobs(measurement(governor="performance"), root=tree.root, patience_s=0.1),
        ):
            pytest.fail("both set")


def test_looking_for_users_makes_nothing(tmp_path: Path) -> None:
    assert user(tmp_path) is None
    assert left_behind(tmp_path) == ()
    assert restore_left_behind(tmp_path) == ()
    assert not list(tmp_path.iterdir())


def test_commands_are_short_where_all_governors_are_meant(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    paths = [f"/{CPU}/cpufreq/policy{cpu}/scaling_governor" for cpu in range(4)]
    every = [Setting(path=path, old="powersave", wanted="performance") for path in paths]
    tee = "echo performance | sudo tee"
    assert commands(every, tree.root) == f"{tee} {tree.root}/{CPU}/cpufreq/policy*/scaling_governor"
    assert commands(every[:1], tree.root) == f"{tee} {tree.root}{paths[0]}"


@settings(max_examples=10, deadline=None)
@given(
    before=st.lists(st.sampled_from(["powersave", "performance"]), min_size=4, max_size=4),
    turbo=st.booleans(),
    governor=st.sampled_from([None, "powersave", "performance"]),
    wanted_turbo=st.sampled_from([None, True, False]),
)
def test_whatever_was_there_is_there_again(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[str],
    turbo: bool,
    governor: str | None,
    wanted_turbo: bool | None,
) -> None:
    tree = HostTree(tmp_path_factory.mktemp("host"))
    for cpu, each in enumerate(before):
        tree.set_governor(each, cpu)
    tree.write(NO_TURBO[1:], f"{int(not turbo)}\n")
    with knobs(measurement(governor=governor, turbo=wanted_turbo), root=tree.root):
        assert tree.governors() == (before if governor is None else [governor] * 4)
        assert tree.turbo == (turbo if wanted_turbo is None else wanted_turbo)
    assert tree.governors() == before
    assert tree.turbo == turbo
    assert not left(tree)
