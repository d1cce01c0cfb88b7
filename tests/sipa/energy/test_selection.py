"""Which source a meter uses, and what it says when there is none."""

from pathlib import Path

import pytest

from sipa.energy import EnergyMeter, MeterKind, PowerModel, Quality, why_unusable
from sipa.errors import MeterError
from tests.sipa.energy.fake_clock import FakeClock
from tests.sipa.energy.powercap_tree import PowercapTree
from tests.sipa.energy.process import guards

MODEL = PowerModel(idle_w=60, max_w=160)


def test_no_source_says_why_not_and_that_estimates_are_named(tmp_path: Path) -> None:
    with pytest.raises(MeterError) as caught:
        EnergyMeter(root=tmp_path)
    message = str(caught.value)
    assert "powercap: " in message
    assert "modprobe intel_rapl_msr" in message
    assert "perf: the perf meter is not available in this version" in message
    assert "only where 'model' is named" in message
    assert caught.value.exit_code == 5


def test_perf_alone_says_that_it_comes_later(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match="perf: the perf meter is not available in this version"):
        EnergyMeter(("perf",), root=tree.root)


def test_the_model_is_never_used_unasked_and_never_before_a_counter(tree: PowercapTree, tmp_path: Path) -> None:
    with EnergyMeter(("powercap", "perf", "model"), root=tree.root, model=MODEL) as meter:
        assert (meter.kind, meter.passed_over) == (MeterKind.POWERCAP, ())
    empty = tmp_path / "empty"
    (empty / "proc").mkdir(parents=True)
    (empty / "proc/stat").write_text("cpu 1 1 1 1 1 1 1 1\n")
    with pytest.raises(MeterError):
        EnergyMeter(root=empty, model=MODEL)
    with EnergyMeter(("powercap", "perf", "model"), root=empty, model=MODEL) as meter:
        assert meter.kind is MeterKind.MODEL
        assert [reason.split(":")[0] for reason in meter.passed_over] == ["powercap", "perf"]
        assert repr(meter) == "<EnergyMeter model>"


def test_the_model_needs_its_watts(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match=r"model: needs the watts of this machine: model=PowerModel"):
        EnergyMeter("model", root=tree.root)


@pytest.mark.parametrize("names", [("powrcap", "model"), ("powercap", "MODEL")])
def test_a_misspelt_name_lets_nothing_else_win(tree: PowercapTree, names: tuple[str, ...]) -> None:
    with pytest.raises(MeterError, match=r"unknown meter '(powrcap|MODEL)': there are powercap, perf, model"):
        EnergyMeter(names, root=tree.root, model=MODEL)


def test_no_name_is_refused(tree: PowercapTree) -> None:
    with pytest.raises(MeterError, match="no energy meter was named"):
        EnergyMeter((), root=tree.root)


def test_why_unusable(tree: PowercapTree, tmp_path: Path) -> None:
    assert {kind: why_unusable(kind, tree.root, MODEL) for kind in MeterKind} == {
        MeterKind.POWERCAP: None,
        MeterKind.PERF: "the perf meter is not available in this version",
        MeterKind.MODEL: None,
        MeterKind.NONE: None,
    }
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
    if why_unusable(MeterKind.POWERCAP):
        with pytest.raises(MeterError, match="powercap: "):
            EnergyMeter()
    else:
        with EnergyMeter() as meter, meter.window() as window:
            pass
        assert window.source is MeterKind.POWERCAP
