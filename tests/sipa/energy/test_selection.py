"""Which source a meter uses, and what it says when there is none."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sipa.energy import EnergyMeter, MeterKind, PowerModel, Quality, why_unusable
from sipa.energy.selection import MEASURED
from sipa.errors import MeterError
from tests.sipa.energy.fake_clock import FakeClock
from tests.sipa.energy.perf_tree import clocks
from tests.sipa.energy.powercap_tree import PowercapTree
from tests.sipa.energy.process import guards

MODEL = PowerModel(idle_w=60, max_w=160)


def test_no_source_says_why_not_and_that_estimates_are_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError) as caught:
        EnergyMeter(root=tmp_path)
    message = str(caught.value)
    assert "powercap: " in message
    assert "modprobe intel_rapl_msr" in message
    assert "modprobe rapl." in message
    assert "perf: " in message
    assert "only where 'model' is named" in message
    assert caught.value.exit_code == 5


def test_perf_alone_says_what_is_missing(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match=r"perf: .*event_source/devices/power: does not exist.*sudo modprobe rapl"):
        EnergyMeter(("perf",), root=tree.root)


def test_the_model_is_never_used_unasked_and_never_before_a_counter(tree: PowercapTree, tmp_path: Path) -> None:
    with EnergyMeter(("powercap", "perf", "model"), root=tree.root, model=MODEL) as meter:
        assert (meter.kind, meter.checks) == (MeterKind.POWERCAP, ())
        assert [reason.split(":")[0] for reason in meter.passed_over] == ["perf"]
        assert meter.end(meter.begin()).estimate is None
    empty = tmp_path / "empty"
    (empty / "proc").mkdir(parents=True)
    (empty / "proc/stat").write_text("cpu 1 1 1 1 1 1 1 1\n")
    with pytest.raises(MeterError):
        EnergyMeter(root=empty, model=MODEL)
    with EnergyMeter(("powercap", "perf", "model"), root=empty, model=MODEL) as meter:
        assert meter.kind is MeterKind.MODEL
        assert [reason.split(":")[0] for reason in meter.passed_over] == ["powercap", "perf"]
        assert repr(meter) == "<EnergyMeter model>"


@pytest.mark.perf
@pytest.mark.usefixtures("perf")
@pytest.mark.parametrize(
    ("names", "kind", "checks"),
    [
        (["powercap", "perf"], "powercap", ("perf",)),
        (["perf", "powercap"], "perf", ("powercap",)),
        (["perf", "perf", "powercap", "perf"], "perf", ("powercap",)),
        (["perf", "model", "none"], "perf", ()),
        (["model", "perf"], "model", ("perf",)),
        ("powercap", "powercap", ()),
        (None, "powercap", ()),
    ],
)
def test_every_other_counter_that_is_named_runs_along(
    tree: PowercapTree, names: Sequence[str] | None, kind: str, checks: tuple[str, ...]
) -> None:
    clocks(tree.root)
    with EnergyMeter(names, root=tree.root, model=MODEL) as meter:
        assert (meter.kind, meter.checks, meter.passed_over) == (kind, checks, ())
        assert tuple(check.source for check in meter.end(meter.begin()).checks) == checks


def test_the_model_needs_its_watts(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match=r"model: needs the watts of this machine: model=PowerModel"):
        EnergyMeter("model", root=tree.root)


@pytest.mark.parametrize("names", [("powrcap", "model"), ("powercap", "MODEL")])
def test_a_misspelt_name_lets_nothing_else_win(tree: PowercapTree, names: tuple[str, ...]) -> None:
    with pytest.raises(
        MeterError,
        match=r"'(powrcap|MODEL)': there are powercap, perf, model, none(. Did you mean 'powercap'\?)?$",
    ):
        EnergyMeter(names, root=tree.root, model=MODEL)


@pytest.mark.parametrize("sources", [7, True, MODEL, Path("powercap")])
def test_something_that_is_no_list_of_names_is_refused(tree: PowercapTree, sources: object) -> None:
    with pytest.raises(MeterError, match=r"sources must be names of meters, such as \['powercap', 'perf'\], but is"):
        EnergyMeter(sources, root=tree.root)  # type: ignore[arg-type]


def test_one_name_need_not_be_a_list_but_several_are(tree: PowercapTree) -> None:
    with EnergyMeter("powercap", root=tree.root) as meter:
        assert meter.kind is MeterKind.POWERCAP
    with EnergyMeter(iter(["powercap"]), root=str(tree.root)) as meter:  # type: ignore[arg-type]
        assert meter.kind is MeterKind.POWERCAP
    for wrong in ("powercap,perf", ["powercap", None], ["powercap", 3]):
        with pytest.raises(MeterError, match=r"unknown meter .*: there are powercap, perf, model, none"):
            EnergyMeter(wrong, root=tree.root)  # type: ignore[arg-type]


def test_no_name_is_refused(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match="no energy meter was named"):
        EnergyMeter((), root=tree.root)


def test_why_unusable(tree: PowercapTree, tmp_path: Path) -> None:
    assert [why_unusable(kind, tree.root, MODEL) for kind in MeterKind if kind is not MeterKind.PERF] == [None] * 3
    assert "sudo modprobe rapl" in (why_unusable(MeterKind.PERF, tree.root) or "")
    assert "does not exist" in (why_unusable(MeterKind.POWERCAP, tmp_path / "nowhere") or "")


def test_the_model_estimates_and_measures_nothing(tree: PowercapTree, clock: FakeClock) -> None:
    with EnergyMeter("model", root=tree.root, clock=clock, model=MODEL) as meter, meter.window() as window:
        tree.set_cpu_times(busy=500, idle=2500)
        clock.sleep(10)
    assert (window.estimated_power_w, window.estimated_j) == (85, 850)
    assert (window.total_j, window.package_j, window.by_domain, window.summed) == (None, None, {}, ())
    assert (window.quality, window.source, window.reason) == (Quality.ESTIMATED, MeterKind.MODEL, None)
    assert guards() == []


def test_the_real_machine_either_measures_or_says_why_not() -> None:
    if all(map(why_unusable, MEASURED)):
        with pytest.raises(MeterError, match="powercap: "):
            EnergyMeter()
    else:
        with EnergyMeter() as meter, meter.window() as window:
            pass
        assert window.source in (MeterKind.POWERCAP, MeterKind.PERF)
