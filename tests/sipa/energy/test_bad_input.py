"""Whatever a counter's file does: a `MeterError` or an unavailable domain that names the file and what to do.

In mid-run the meter keeps its descriptors, so what is broken here is what they lead to.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sipa.energy import EnergyMeter, Flag, Quality
from sipa.errors import MeterError
from tests.sipa.energy.fake_clock import FakeClock, run
from tests.sipa.energy.powercap_tree import PowercapTree
from tests.sipa.energy.process import in_child

ALL = {"pkg0": 100.0, "pkg1": 100.0, "dram0": 10.0, "dram1": 10.0}


def empty(tree: PowercapTree, _: EnergyMeter) -> None:
    tree.show("pkg0", b"")


def cut_off(tree: PowercapTree, _: EnergyMeter) -> None:
    tree.show("pkg0", b"2621")


def not_a_number(tree: PowercapTree, _: EnergyMeter) -> None:
    tree.show("pkg0", b"-1\n")


def beyond_its_range(tree: PowercapTree, _: EnergyMeter) -> None:
    tree.show("pkg0", b"262143328851\n")


def vanished(tree: PowercapTree, _: EnergyMeter) -> None:
    tree.path("pkg0").unlink()


def input_output_error(_: PowercapTree, meter: EnergyMeter) -> None:
    """The kept descriptor becomes one whose first byte no kernel can read: address 0 of this process."""
    kept = meter._source.source._files["pkg0"]  # type: ignore[attr-defined]
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    os.dup2(memory, kept, inheritable=False)
    os.close(memory)


MID_RUN: dict[Callable[[PowercapTree, EnergyMeter], None], str] = {
    empty: "holds b'' instead of a number",
    cut_off: "holds b'2621' instead of a number and a newline",
    not_a_number: "instead of a number",
    beyond_its_range: "outside its own range of 0 to 262143328850",
    vanished: "the zone has vanished",
    input_output_error: "input/output error",
}


@pytest.mark.parametrize("damage", MID_RUN, ids=lambda damage: damage.__name__)
def test_a_counter_that_breaks_in_mid_run_costs_its_domain_and_says_what_to_do(
    tree: PowercapTree, clock: FakeClock, damage: Callable[[PowercapTree, EnergyMeter], None]
) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter:
        with meter.window() as window:
            run(tree, clock, 10, **ALL)
            damage(tree, meter)
        meter.poll()
        later = meter.end(meter.begin())
    broken = window.by_domain["pkg0"]
    assert (broken.joules, broken.quality) == (None, Quality.UNAVAILABLE)
    assert (window.total_j, window.package_j) == (None, None)
    assert window.dram_j == pytest.approx(200, abs=1e-4)
    reason = broken.reason or ""
    assert reason.startswith("could not be read when the window ended: ")
    assert str(tree.path("pkg0")) in reason
    assert MID_RUN[damage] in reason
    assert "Cure: " in reason
    assert (later.by_domain["pkg0"].reason or "").startswith("could not be read when the window began: ")


@pytest.mark.parametrize("damage", [empty, not_a_number, beyond_its_range])
def test_a_counter_that_comes_back_is_believed_again(
    tree: PowercapTree, clock: FakeClock, damage: Callable[[PowercapTree, EnergyMeter], None]
) -> None:
    with EnergyMeter(root=tree.root, clock=clock) as meter, meter.window() as window:
        run(tree, clock, 10, **ALL)
        damage(tree, meter)
        meter.poll()
        run(tree, clock, 10, **ALL)
    assert window.by_domain["pkg0"].joules == pytest.approx(2000, abs=1e-4)
    assert window.flags == (Flag.READ_FAILED,)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("max_energy_range_uj", None, "shows no range"),
        ("max_energy_range_uj", "", "shows no range"),
        ("max_energy_range_uj", "0\n", "shows no range"),
        ("max_energy_range_uj", "none\n", "shows no range"),
        ("energy_uj", None, "the zone is gone or incomplete"),
        ("energy_uj", "", "holds b'' instead of a number"),
        ("energy_uj", "12", "holds b'12' instead of a number"),
    ],
)
def test_a_counter_that_is_broken_from_the_start_is_refused(
    tree: PowercapTree, file: str, content: str | None, words: str
) -> None:
    path = tree.path("dram1", file)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(MeterError) as caught:
        EnergyMeter("powercap", root=tree.root)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "Cure: " in str(caught.value)


def test_an_input_output_error_from_the_start_is_refused(tree: PowercapTree) -> None:
    tree.path("pkg0").unlink()
    tree.path("pkg0").symlink_to("/proc/self/mem")
    with pytest.raises(MeterError, match=r"energy_uj: input/output error.*Cure: see dmesg"):
        EnergyMeter("powercap", root=tree.root)


@pytest.mark.root
def test_a_file_that_only_root_may_read_is_refused_to_another_user() -> None:
    """0400, as the kernel sets it since PLATYPUS; another process, as every user's is."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to own the files and to become another user")
    # Not below pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        tree = PowercapTree(Path(folder))
        for domain in tree.ids:
            tree.path(domain).chmod(0o400)
        message = str(in_child(lambda: refusal_as_nobody(tree.root)))
        names = [str(tree.path(domain)) for domain in tree.ids]
    assert all(name in message for name in names)
    assert message.count("permission denied: only root may read it") == 1
    assert "sudo udevadm trigger" in message
    assert "An estimate is made only where 'model' is named" in message


def refusal_as_nobody(root: Path) -> str:
    """What a meter says to another user, who may enter every folder and read no counter."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    try:
        EnergyMeter(root=root).close()
    except MeterError as error:
        return str(error)
    return "opened"
