"""Synthetic sweeps: real Parquet in a real results folder, written by the store; numbers drawn from a seed."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa

from sipa.columns import SCHEMA_VERSION, Column
from sipa.results.store import Store
from sipa.trial import Row, TrialFailure, TrialResult, digest
from sipa.workloads import ValueType

BEGIN = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
LADDER = {
    "digits-nano": (0.53, 0.0045),
    "digits-micro": (0.68, 0.009),
    "digits-small": (0.74, 0.019),
    "digits-base": (0.78, 0.041),
}
ENVIRONMENT = {
    "cpu_model": "Intel(R) Xeon(R) Gold 6242 CPU @ 2.80GHz",
    "cpus": 64,
    "sockets": 2,
    "memory_bytes": 201_000_000_000,
    "hypervisor": False,
    "kernel": "6.8.0-60-generic",
    "governor": "performance",
    "turbo": False,
    "python": "3.11.7",
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
}
SPEC = """schema = 1
name = "{name}"

[workload]
kind = "detection"
dataset = "digits"

[factors]
weights = ["digits-nano", "digits-micro", "digits-small", "digits-base"]
batch_size = [1, 4, 16]

[design]
repetitions = {repetitions}
order = "randomised-blocks"
seed = 20241207

[measurement]
meter = ["powercap", "model"]
min_window_s = 10
gates = "flag"
"""
COMMAND_SPEC = """schema = 1
name = "compress"

[workload]
kind = "command"
command = "python compress.py --level {level} --codec {codec}"
metrics = { ratio = "number" }
work_unit = "file"

[factors]
level = [1, 3, 9, 19]
codec = ["zlib", "lzma"]

[design]
repetitions = 3
seed = 7
"""
COMMAND_COLUMNS = (
    Column(name="level", type=ValueType.INTEGER, unit="-", meaning="free factor", parameter=True),
    Column(name="codec", type=ValueType.TEXT, unit="-", meaning="free factor", parameter=True),
    Column(name="ratio", type=ValueType.NUMBER, unit="-", meaning="metric of the command"),
)


@dataclass
class Sweep:
    """Rows in the making."""

    name: str
    rows: list[Row] = field(default_factory=list)
    extra: Sequence[Column] = ()
    spec: str = SPEC
    environment: Mapping[str, Any] = field(default_factory=lambda: ENVIRONMENT)
    failures: Sequence[TrialFailure] = ()
    planned: Sequence[str] | None = None

    def write(self, folder: Path) -> Path:
        """Write the folder as a controller would."""
        store = Store(folder, extra=self.extra)
        planned = self.planned if self.planned is not None else [row["trial_id"] for row in self.rows]
        store.prepare(spec_hash="0123456789abcdef", spec_text=self.spec, plan=pa.table({"trial_id": list(planned)}))
        for row in self.rows:
            store.commit(
                TrialResult(
                    trial_id=row["trial_id"], attempt=row["attempt"], row=row, phases=(), environment=self.environment
                )
            )
        for failure in self.failures:
            store.keep_failure(failure)
        return folder


def identity(sweep: str, parameters: Mapping[str, Any], repetition: int, position: int) -> Row:
    """What every row has."""
    treatment = digest([sweep, dict(parameters)])
    return {
        "sweep": sweep,
        "trial_id": digest([treatment, repetition]),
        "treatment_id": treatment,
        "repetition": repetition,
        "replicate": "",
        "attempt": 1,
        "planned_position": position,
        "position": position,
        "workload": "detection",
        "spec_hash": "0123456789abcdef",
        "code_version": "0.1.0+abc",
        "environment_id": digest(ENVIRONMENT),
        "session_id": "session-1",
        "node": "node-1",
        "node_uid": "00ff00ff00ff00ff",
        "boot_id": "boot-1",
        "cpu_model": ENVIRONMENT["cpu_model"],
        "started_at": BEGIN + timedelta(seconds=20 * position),
        "ended_at": BEGIN + timedelta(seconds=20 * position + 15),
        "mono_begin_ns": position * 20_000_000_000,
        "mono_end_ns": position * 20_000_000_000 + 10_000_000_000,
        "valid": True,
        "flags": [],
        "energy_domains": [],
        "energy_quality": [],
        "energy_source": "none",
        "schema_version": SCHEMA_VERSION,
        **parameters,
    }


def detection(
    name: str = "quickstart",
    *,
    source: str = "powercap",
    repetitions: int = 3,
    batches: Iterable[int] = (1, 4, 16),
    weights: Mapping[str, tuple[float, float]] | None = None,
    seed: int = 1,
) -> Sweep:
    """A detection sweep; `source` is powercap, model or none."""
    draw = random.Random(seed)
    sweep = Sweep(name=name, spec=SPEC.replace("{name}", name).replace("{repetitions}", str(repetitions)))
    treatments = list(product((weights or LADDER).items(), batches))
    for repetition in range(1, repetitions + 1):
        draw.shuffle(treatments)
        for (level, (accuracy, time_s)), batch in treatments:
            parameters = {"weights": level, "batch_size": batch, "dataset": "digits"}
            row = identity(name, parameters, repetition, len(sweep.rows))
            row |= _detected(accuracy, time_s, batch, draw)
            sweep.rows.append(row)
    for row in sweep.rows:
        row.update(_energy(source, row, draw))
    return sweep


def _detected(accuracy: float, time_s: float, batch: int, draw: random.Random) -> Row:
    per_image = time_s * (0.75 + 0.5 / math.sqrt(batch)) * draw.gauss(1, 0.02)
    return {
        "map_50_95": accuracy,
        "map_50": accuracy + 0.15,
        "f1": accuracy + 0.1,
        "window_s": 10.4,
        "time_per_image_s": per_image,
        "time_per_work_unit_s": per_image,
        "throughput_images_per_s": 1 / per_image,
        "throughput_work_units_per_s": 1 / per_image,
        "latency_batch_mean_s": per_image * batch,
        "images_measured": 500,
        "work_units_measured": 500.0,
        "work_unit": "image",
        "memory_peak_bytes": 4.1e8 + 1e6 * batch,
        "cpu_utilisation": 0.8 + 0.01 * draw.random(),
        "foreign_cores": 0.01,
    }


def _energy(source: str, row: Row, draw: random.Random) -> Row:
    per_image = row.get("time_per_image_s")
    if source == "none" or per_image is None:
        return {"energy_source": "none"}
    joules = per_image * (190 if source != "model" else 60 + 105 * row["cpu_utilisation"])
    if source == "model":
        return {
            "energy_source": "model",
            "energy_estimated_j": joules * 500,
            "energy_estimated_per_image_j": joules,
            "energy_estimated_per_work_unit_j": joules,
            "model_idle_w": 60.0,
            "model_max_w": 165.0,
            "energy_quality": ["machine: estimated"],
        }
    joules *= draw.gauss(1, 0.03)
    return {
        "energy_source": source,
        "energy_total_j": joules * 500,
        "energy_per_image_j": joules,
        "energy_per_work_unit_j": joules,
        "energy_domains": ["package-0", "package-1", "dram-0"],
        "energy_quality": ["package-0: measured", "package-1: measured", "dram-0: derived"],
    }


def command(*, energy: bool = True, repetitions: int = 3, seed: int = 3) -> Sweep:
    """A command sweep with a numeric and a text factor and one metric."""
    draw = random.Random(seed)
    sweep = Sweep(name="compress", extra=COMMAND_COLUMNS, spec=COMMAND_SPEC)
    template = "python compress.py --level {level} --codec {codec}"
    for repetition, (level, codec) in product(range(1, repetitions + 1), product((1, 3, 9, 19), ("zlib", "lzma"))):
        row = identity("compress", {"level": level, "codec": codec, "command": template}, repetition, len(sweep.rows))
        length = (0.02 if codec == "zlib" else 0.06) * level**0.9 * draw.gauss(1, 0.03)
        row |= {
            "workload": "command",
            "ratio": (2.1 if codec == "zlib" else 2.9) + 0.2 * math.log(level),
            "window_s": 5.0,
            "time_per_work_unit_s": length,
            "throughput_work_units_per_s": 1 / length,
            "work_units_measured": 5.0 / length,
            "work_unit": "file",
        }
        if energy:
            joules = 150 * length * draw.gauss(1, 0.02)
            row |= {"energy_source": "perf", "energy_total_j": joules * 100, "energy_per_work_unit_j": joules}
        sweep.rows.append(row)
    return sweep


def failure(
    trial_id: str, attempt: int = 1, message: str = "the trial's process was killed by signal 9"
) -> TrialFailure:
    """A failed attempt."""
    return TrialFailure(
        trial_id=trial_id,
        attempt=attempt,
        error="TrialCrash",
        message=message,
        phase="load",
        node="node-1",
        started_at=BEGIN.isoformat(),
        ended_at=BEGIN.isoformat(),
    )
