"""The columns of a row: name, type, unit and meaning of every one. The contract with the analyst.

Names are `<quantity>[_<phase>][_<domain or statistic>]_<unit>`, SI. Energy without a phase is the inference window,
gross, and nothing else. Estimates have columns of their own (`*_estimated_*`) and are never added to measured ones.
A null says that there is no number; the reason stands in `flags` or in the phases table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from sipa.workloads import WORKLOADS, Quantity, ValueType, Workload

SCHEMA_VERSION = 2
SOCKETS = 4
PHASES = ("import", "load", "warmup", "score", "process")
"""Phases besides the inference window; `process` is the outer window, held by the worker round the whole process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Quantity):
    """One column of a row.

    Attributes:
        parameter: whether it is a workload's parameter (set by the spec) rather than a finding.
        nullable: False for what every row has.
    """

    parameter: bool = False
    nullable: bool = True


def _columns(kind: ValueType, *entries: tuple[str, str, str], nullable: bool = True) -> Iterator[Column]:
    return (
        Column(name=name, type=kind, unit=unit, meaning=meaning, nullable=nullable) for name, unit, meaning in entries
    )


def _identity() -> Iterator[Column]:
    yield from _columns(
        ValueType.TEXT,
        ("sweep", "-", "name of the sweep"),
        ("trial_id", "-", "content address: treatment, protocol, repetition, replicate, weights, data"),
        ("treatment_id", "-", "content address of the combination of levels"),
        nullable=False,
    )
    yield from _columns(
        ValueType.INTEGER,
        ("repetition", "1", "repetition of the treatment, from 1; a repetition of the sweep is a block"),
        nullable=False,
    )
    yield from _columns(
        ValueType.TEXT, ("replicate", "-", "label of `run --replicate`; empty for the first"), nullable=False
    )
    yield from _columns(
        ValueType.INTEGER,
        ("attempt", "1", "attempt that gave this row, from 1"),
        ("planned_position", "1", "place in the planned order, from 0"),
        ("position", "1", "place in the order in which this node really ran its trials, from 0"),
        nullable=False,
    )
    yield from _columns(
        ValueType.TEXT,
        ("workload", "-", "kind of workload"),
        ("spec_hash", "-", "the sweep file that planned the trial: spec/<hash>.toml"),
        ("code_version", "-", "version of sipa-cluster, with the git commit where there is one"),
        ("environment_id", "-", "the host's fingerprint: environments/<id>.json"),
        ("session_id", "-", "one run of the controller"),
        ("node", "-", "name of the node"),
        ("node_uid", "-", "the node's machine id"),
        ("boot_id", "-", "the kernel's boot id"),
        nullable=False,
    )
    yield from _columns(
        ValueType.TEXT,
        ("commission_id", "-", "the node's commissioning (`sipa-cluster commission`); null without one"),
        ("lease_id", "-", "lease the node belonged to; null without a lease"),
        ("site", "-", "testbed site; null without a lease"),
        ("cpu_model", "-", "the processor's name"),
    )
    yield from _columns(
        ValueType.TIMESTAMP,
        ("started_at", "UTC", "start of the trial's process"),
        ("ended_at", "UTC", "end of the trial's process"),
        nullable=False,
    )
    yield from _columns(
        ValueType.INTEGER,
        ("mono_begin_ns", "ns", "begin of the inference window on the node's monotonic clock"),
        ("mono_end_ns", "ns", "end of the inference window on the node's monotonic clock"),
        nullable=False,
    )


def _energy() -> Iterator[Column]:
    number = ValueType.NUMBER
    yield from _columns(
        number,
        ("energy_pkg_j", "J", "all CPU packages, inference window, gross"),
        ("energy_dram_j", "J", "all DRAM domains, inference window, gross"),
        ("energy_total_j", "J", "sum of the domains listed in energy_domains"),
        ("energy_net_j", "J", "energy_total_j less the idle power of the same domains times the window"),
        ("energy_per_image_j", "J/image", "energy_total_j / images_measured"),
        ("energy_per_work_unit_j", "J/unit", "energy_total_j / work_units_measured"),
        (
            "energy_pkg_uncertainty_j",
            "J",
            "quantisation and read-out of energy_pkg_j; the sensor's accuracy is unknown",
        ),
        ("energy_dram_uncertainty_j", "J", "the same of energy_dram_j"),
        ("energy_total_uncertainty_j", "J", "the same of energy_total_j"),
        ("energy_net_uncertainty_j", "J", "the same of energy_net_j, with the idle windows' and their drift"),
        ("energy_pkg_perf_j", "J", "energy_pkg_j by perf_event: a check of the arithmetic, both read one register"),
        ("energy_dram_perf_j", "J", "energy_dram_j by perf_event: a check of the arithmetic"),
        ("foreign_energy_bias_j", "J", "share of energy_net_j that foreign CPU time accounts for; derived"),
        ("energy_estimated_j", "J", "ESTIMATE of the model meter from declared watts and CPU utilisation"),
        ("energy_estimated_per_image_j", "J/image", "ESTIMATE: energy_estimated_j / images_measured"),
        ("energy_estimated_per_work_unit_j", "J/unit", "ESTIMATE: energy_estimated_j / work_units_measured"),
        ("power_estimated_w", "W", "ESTIMATE: energy_estimated_j / window"),
        ("model_idle_w", "W", "declared constant behind the estimate"),
        ("model_max_w", "W", "declared constant behind the estimate"),
        ("power_total_w", "W", "energy_total_j / window"),
        ("power_idle_total_w", "W", "the same domains in the idle windows before and after"),
        ("power_idle_drift_w", "W", "idle power after less idle power before; null with fewer than two idle windows"),
        (
            "power_node_dcmi_w",
            "W",
            "the whole node's, by the BMC (DCMI) after the window: whole watts; null without one or with scope process",
        ),
    )
    for socket in range(SOCKETS):
        yield from _columns(
            number,
            (f"energy_pkg{socket}_j", "J", f"CPU package {socket}, inference window"),
            (f"energy_dram{socket}_j", "J", f"DRAM of package {socket}, inference window"),
        )
    for phase in PHASES:
        yield from _columns(
            number,
            (f"energy_pkg_{phase}_j", "J", f"all CPU packages, {phase} phase, gross"),
            (f"energy_dram_{phase}_j", "J", f"all DRAM domains, {phase} phase, gross"),
            (f"energy_estimated_{phase}_j", "J", f"ESTIMATE of the model meter, {phase} phase"),
        )


def _time() -> Iterator[Column]:
    yield from _columns(
        ValueType.NUMBER,
        ("window_s", "s", "length of the inference window"),
        ("time_per_image_s", "s/image", "window / images: what the paper calls latency"),
        ("time_per_work_unit_s", "s/unit", "window / units of work"),
        ("throughput_images_per_s", "images/s", "images / window"),
        ("throughput_work_units_per_s", "units/s", "units of work / window"),
        ("latency_batch_mean_s", "s", "full batch handed over until its detections exist, mean"),
        ("latency_batch_p50_s", "s", "the same, median"),
        ("latency_batch_p95_s", "s", "the same, 95th percentile; null below 20 batches"),
        ("latency_batch_p99_s", "s", "the same, 99th percentile; null below 100 batches"),
        *((f"duration_{phase}_s", "s", f"length of the {phase} phase") for phase in PHASES),
        ("duration_idle_s", "s", "length of the idle window before the trial"),
        ("duration_cooldown_s", "s", "wait before the trial until the packages were as cool as when idle"),
    )


def _quality() -> Iterator[Column]:
    yield from _columns(
        ValueType.BOOLEAN,
        ("valid", "-", "false where a number that was asked for is missing or impossible; gates are in flags"),
        nullable=False,
    )
    yield from _columns(
        ValueType.TEXTS,
        ("flags", "-", "gates that tripped and notes on null values, each `name: detail`"),
        ("energy_domains", "-", "domains summed in energy_total_j"),
        ("energy_quality", "-", "`domain: quality` of each: measured, derived, estimated or unavailable"),
        nullable=False,
    )
    yield from _columns(
        ValueType.TEXT,
        ("energy_source", "-", "powercap, perf, model or none"),
        nullable=False,
    )
    yield from _columns(
        ValueType.NUMBER,
        ("foreign_cpu_s", "s", "CPU time of other processes during the window"),
        ("foreign_cores", "cores", "foreign_cpu_s / window"),
        ("foreign_ray_cpu_s", "s", "of foreign_cpu_s, what Ray's own processes used"),
        ("own_cpu_s", "s", "CPU time of the trial's own processes during the window"),
        ("cpu_utilisation", "1", "busy share of all CPUs of the machine during the window"),
        (
            "frequency_effective_hz",
            "Hz",
            "mean frequency of the CPUs during the window; null where unreadable",
        ),
        ("temperature_start_c", "°C", "hottest package at the begin of the window; null where unreadable"),
        ("temperature_end_c", "°C", "hottest package at the end of the window; null where unreadable"),
        ("temperature_inlet_c", "°C", "inlet air, by the BMC (DCMI); null where unreadable"),
        ("control_energy_j", "J", "the control workload of this node and session, the last one before this trial"),
        ("control_duration_s", "s", "length of that control workload"),
        (
            "memory_peak_bytes",
            "B",
            "peak resident set of the trial's process; of a command: of its largest process, null if hidden",
        ),
    )
    yield from _columns(
        ValueType.INTEGER,
        (
            "throttle_events",
            "1",
            "thermal throttling of the packages during the window; null where unreadable",
        ),
        ("power_limit_events", "1", "times a package hit its power limit during the window; null where unreadable"),
        ("n_wraps", "1", "counter wraps inside the window, corrected"),
        ("passes", "1", "passes over the data inside the window"),
        ("batches_measured", "1", "batches inside the window"),
        ("images_measured", "images", "images inside the window"),
    )
    yield from _columns(
        ValueType.NUMBER,
        ("work_units_measured", "units", "units of work inside the window: images for detection"),
    )
    yield from _columns(
        ValueType.TEXT,
        ("work_unit", "-", "what one unit of work is"),
        ("control_id", "-", "what the control workload was; only energies of equal ones are comparable"),
    )
    yield from _columns(ValueType.INTEGER, ("schema_version", "1", "version of this list of columns"), nullable=False)


def _parameters(workload: Workload) -> Iterator[Column]:
    for each in workload.parameters:
        yield Column(name=each.name, type=each.type, unit=each.unit, meaning=each.meaning, parameter=True)


def _results(workload: Workload) -> Iterator[Column]:
    for each in workload.results:
        yield Column(name=each.name, type=each.type, unit=each.unit, meaning=each.meaning)


def _all() -> tuple[Column, ...]:
    workloads = tuple(WORKLOADS.values())
    parts = (
        _identity(),
        chain.from_iterable(map(_parameters, workloads)),
        chain.from_iterable(map(_results, workloads)),
        _energy(),
        _time(),
        _quality(),
    )
    return tuple(chain.from_iterable(parts))


COLUMNS: tuple[Column, ...] = _all()
"""Every column that every file has, in order."""

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
NAMES = frozenset(BY_NAME)
PARAMETER_NAMES = frozenset(column.name for column in COLUMNS if column.parameter)
NUMERIC_NAMES = frozenset(c.name for c in COLUMNS if c.type in {ValueType.INTEGER, ValueType.NUMBER})
