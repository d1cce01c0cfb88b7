"""Whole sweeps over a made node whose counters follow known power curves: every joule in every row is accounted for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import sipa
from cluster import sweep
from cluster.loop import Stop
from cluster.survey import Request
from sipa.spec import parse_spec
from tests.feeder.live import LiveMachine
from tests.feeder.machine import Machine
from tests.jobs.host_tree import HostTree
from tests.sipa.energy.conftest import perf  # noqa: F401 the fixture
from tests.sipa.energy.perf_tree import clocks
from tests.sipa.energy.test_dcmi import answers, program

pytestmark = pytest.mark.slow

CURVES = {"pkg0": "square:30:110:1.4", "pkg1": "sine:60:40:2.3", "dram0": "14", "dram1": "11"}
"""Together less than the 215 W that the BMC shows."""
ONE_WATT = dict.fromkeys(CURVES, "1")
WRAPS_AFTER_J = {"pkg0": 500.0, "dram1": 60.0}
"""A few seconds: in the middle of the sweep."""
EDGE_NS = 3_000_000
"""Time in which a mark's four counters are surely read."""

MEASUREMENT = """
[measurement]
meter = ["powercap", "perf"]
idle_s = 0.6
min_window_s = {min_window_s}
control_s = {control_s}
cooldown_timeout_s = 5
governor = "performance"
turbo = false
"""
COMMANDS = """schema = 1
name = "commands"
[workload]
kind = "command"
command = "python -c 'import time; time.sleep({seconds})'"
[factors]
seconds = [0.3, 1.1]
[design]
repetitions = 2
"""
DETECTION = """schema = 1
name = "detection"
[workload]
kind = "detection"
dataset = "digits"
weights = "digits-w12-128"
images = 16
batch_size = 4
threads = 1
[design]
repetitions = 1
"""


@contextmanager
def node(folder: Path, power: dict[str, str], left_j: dict[str, float] | None = None) -> Iterator[LiveMachine]:
    """A made host with a BMC, fed a thousand times a second."""
    tree = HostTree(folder / "host")
    tree.write("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n")
    program(tree.root, answers(power="ipmitool-1.8.18"))
    with LiveMachine(Machine(root=tree.root, power=power, left_j=left_j or {})) as live:
        yield live


def run(folder: Path, root: Path, text: str, *, min_window_s: float = 1.5, control_s: float = 0) -> pd.DataFrame:
    spec = parse_spec(text + MEASUREMENT.format(min_window_s=min_window_s, control_s=control_s), folder / "sweep.toml")
    asked = Request(spec=spec, results=folder / "results", lock=folder / "lock", root=root)
    finished = sweep.run(asked, ray=False, emit=lambda _: None, stop=Stop())
    assert finished.exit_code == 0
    return sipa.load(asked.folder)


def phases(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("results/*/phases/*.parquet"))])


def off_by(live: LiveMachine, domain: str, begin_ns: int, end_ns: int, energy_j: float) -> tuple[float, float]:
    """By how much an energy differs from the truth, and by how much the feeder's own steps let it."""
    steps = [live.steps.seen_ns(edge - EDGE_NS, edge + EDGE_NS) for edge in (begin_ns, end_ns)]
    allowed_j = sum(live.energy_j(domain, first, last) for first, last in steps) + 2e-4
    return abs(energy_j - live.energy_j(domain, begin_ns, end_ns)), allowed_j


def check_truth(live: LiveMachine, found: pd.DataFrame) -> None:
    """Every energy of every phase is the curve's integral between the phase's own edges, but for the feeder's steps."""
    assert set(found["quality"]) == {"measured"}
    for each in found.itertuples():
        error_j, allowed_j = off_by(live, each.domain, each.begin_ns, each.end_ns, each.energy_j)
        assert error_j <= allowed_j, (each.trial_id, each.phase, each.domain)


def check_sums(rows: pd.DataFrame, inner: tuple[str, ...]) -> None:
    """Phases lie inside the process, net and idle make gross, and what is summed is the sum."""
    for kind in ("pkg", "dram"):
        parts = [rows[f"energy_{kind}_{phase}_j"] for phase in inner]
        assert (sum(parts, rows[f"energy_{kind}_j"]) <= rows[f"energy_{kind}_process_j"]).all()
        assert rows[f"energy_{kind}0_j"].to_numpy() + rows[f"energy_{kind}1_j"].to_numpy() == pytest.approx(
            rows[f"energy_{kind}_j"].to_numpy()
        )
    times = [rows[f"duration_{phase}_s"] for phase in inner]
    assert (sum(times, rows["window_s"]) <= rows["duration_process_s"]).all()
    gross = rows["energy_net_j"] + rows["power_idle_total_w"] * rows["window_s"]
    assert gross.to_numpy() == pytest.approx(rows["energy_total_j"].to_numpy())
    assert (rows["energy_pkg_j"] + rows["energy_dram_j"]).to_numpy() == pytest.approx(rows["energy_total_j"].to_numpy())


def check_windows(live: LiveMachine, rows: pd.DataFrame) -> None:
    """The energies of the inference windows are right within 0.1 % and a step of the feeder at each edge."""
    for row in rows.itertuples():
        found = [
            off_by(live, name, row.mono_begin_ns, row.mono_end_ns, getattr(row, f"energy_{name}_j")) for name in CURVES
        ]
        assert sum(error for error, _ in found) <= 1e-3 * row.energy_total_j + sum(allowed for _, allowed in found)


def test_a_sweep_of_commands_adds_up(tmp_path: Path) -> None:
    with node(tmp_path, CURVES, WRAPS_AFTER_J) as live:
        rows = run(tmp_path, live.root, COMMANDS, control_s=0.2)
    assert len(rows) == 4
    check_windows(live, rows)
    check_truth(live, phases(tmp_path))
    check_sums(rows, ())
    assert rows["valid"].all()
    edges = int(rows["mono_begin_ns"].min()), int(rows["mono_end_ns"].max())
    assert live.wraps_between("pkg0", *edges) == 1
    assert rows["flags"].map(list).tolist() == [[]] * 4
    assert (rows["schema_version"] == 2).all()
    for name in ("energy_net_uncertainty_j", "power_idle_drift_w", "temperature_end_c", "power_node_dcmi_w"):
        assert rows[name].notna().all(), name
    assert (rows["duration_cooldown_s"] == 0).all()
    assert rows["control_id"].nunique() == 1
    assert rows["control_energy_j"].notna().all()
    assert rows["energy_pkg_perf_j"].isna().all()


def test_the_trace_of_every_trial_is_kept_and_adds_up(tmp_path: Path) -> None:
    with node(tmp_path, CURVES) as live:
        rows = run(tmp_path, live.root, COMMANDS, min_window_s=2.4)
    for row in rows.itertuples():
        (file,) = tmp_path.glob(f"results/commands/samples/{row.trial_id}.*.parquet")
        samples = pd.read_parquet(file)
        assert set(samples["domain"]) == set(CURVES)
        for name, own in samples.groupby("domain"):
            pieces = own["t_s"].diff().fillna(own["t_s"].iloc[0]) * own["power_w"]
            assert pieces.sum() == pytest.approx(getattr(row, f"energy_{name}_j"), rel=2e-3)


def test_a_detection_trial_adds_up_phase_by_phase(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra: node)")
    with node(tmp_path, CURVES, WRAPS_AFTER_J) as live:
        rows = run(tmp_path, live.root, DETECTION)
    assert len(rows) == 1
    check_windows(live, rows)
    check_truth(live, phases(tmp_path))
    check_sums(rows, ("import", "load", "warmup", "score"))
    row = rows.iloc[0]
    assert row["duration_warmup_s"] >= 5
    assert row["energy_per_image_j"] == pytest.approx(row["energy_total_j"] / row["images_measured"])


@pytest.mark.perf
@pytest.mark.usefixtures("perf")
def test_perf_beside_powercap_says_the_same(tmp_path: Path) -> None:
    """Through the real system call: the PMU counts the clock of a CPU as 1 W, and so do the zones."""
    with node(tmp_path, ONE_WATT) as live:
        clocks(live.root, sockets=2)
        rows = run(tmp_path, live.root, COMMANDS)
    check_windows(live, rows)
    assert rows["energy_source"].eq("powercap").all()
    sockets = 2 if rows["energy_pkg_perf_j"].iloc[0] > 1.5 * rows["energy_pkg0_j"].iloc[0] else 1
    checked = rows["energy_pkg_j"] if sockets == 2 else rows["energy_pkg0_j"]
    assert rows["energy_pkg_perf_j"].to_numpy() == pytest.approx(checked.to_numpy(), rel=0.03)
    assert rows["energy_dram_perf_j"].notna().all()
