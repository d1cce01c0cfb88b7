"""The sweep file as values: frozen, checked, with every default filled in. Nothing downstream sees TOML."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sipa.workloads import Kind, Value, ValueType


class Order(StrEnum):
    """In which order the trials of a repetition run."""

    RANDOMISED_BLOCKS = "randomised-blocks"
    AS_LISTED = "as-listed"


class Gates(StrEnum):
    """What a tripped quality gate does: the trial fails, or its row is flagged."""

    REFUSE = "refuse"
    FLAG = "flag"


class Meter(StrEnum):
    """Energy sources that a spec may name."""

    POWERCAP = "powercap"
    PERF = "perf"
    MODEL = "model"


class Scope(StrEnum):
    """What is measured: phases of the trial's process, or the process as a whole (the paper's way)."""

    PHASES = "phases"
    PROCESS = "process"


class TestbedKind(StrEnum):
    """Where the nodes come from."""

    __test__ = False

    LOCAL = "local"
    STATIC = "static"
    CHAMELEON = "chameleon"


Levels = tuple[Value, ...]
Combination = tuple[tuple[str, Value], ...]
"""Names and values, sorted by name; values are canonical (see `sipa.trial.canonical`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutput:
    """What a command workload prints and reads (only for kind = "command").

    Attributes:
        metrics: name -> type of each key that the JSON line must have; they become columns.
        work_unit: what one unit of work is called ("image", "token").
        work_key: key of the JSON line that counts the units done; None: one run is one unit.
        begin_marker: a line of standard output that is exactly this opens the measured window.
        end_marker: a line that is exactly this closes it.
        inputs: files (templates like the command) whose content belongs to the trial's identity.
        free_types: name -> type of each parameter of the user's own, be it a factor or fixed; sorted by name.
    """

    metrics: tuple[tuple[str, ValueType], ...] = ()
    work_unit: str = "run"
    work_key: str | None = None
    begin_marker: str | None = None
    end_marker: str | None = None
    inputs: tuple[str, ...] = ()
    free_types: tuple[tuple[str, ValueType], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """`[workload]` and `[factors]`.

    Attributes:
        fixed: parameters with one value, defaults filled in, sorted by name; parameters whose value the workload
            decides are absent.
        factors: name -> levels, in the order of the file.
    """

    kind: Kind
    fixed: Combination
    factors: tuple[tuple[str, Levels], ...]
    output: CommandOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Stop repeating a treatment when the metric is known well enough.

    Attributes:
        metric: a numeric column.
        half_width: half width of the confidence interval relative to the mean, e.g. 0.02.
        min_repetitions: at least this many.
        confidence: of the interval, over all looks together.
    """

    metric: str
    half_width: float
    min_repetitions: int
    confidence: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSpec:
    """`[design]`.

    Attributes:
        random_points: None for the whole grid, else how many combinations are drawn.
        include: combinations added to the grid; each names every factor.
        exclude: combinations left out; each names some factors.
    """

    repetitions: int
    order: Order
    seed: int
    random_points: int | None
    include: tuple[Combination, ...]
    exclude: tuple[Combination, ...]
    stop: StopRule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWatts:
    """`[measurement.model]`: the declared constants of the estimate."""

    idle_w: float
    max_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementSpec:
    """`[measurement]`: how a trial is measured. SI units.

    Attributes:
        meter: energy sources in order of preference; empty: no energy is measured.
        cooldown_within_c: how much warmer than the idle node the packages may be when a trial begins, in kelvin.
        control_s: nominal length of the control workload; 0 for none. It is run only where energy is measured.
        governor: CPU frequency governor to set for the sweep; None leaves it.
        turbo: whether turbo is on for the sweep; None leaves it.
    """

    meter: tuple[Meter, ...]
    idle_s: float
    min_window_s: float
    warmup_max_s: float
    cooldown_within_c: float
    cooldown_timeout_s: float
    control_s: float
    max_foreign_cores: float
    gates: Gates
    deadline_s: float
    governor: str | None
    turbo: bool | None
    scope: Scope
    model: ModelWatts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chameleon:
    """What a lease asks for."""

    site: str
    node_types: tuple[str, ...]
    nodes_min: int
    nodes_max: int
    head: str
    hours: float
    image: str
    key: str | None
    network: str
    max_su: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticHosts:
    """Hosts that the user already has, reached by ssh."""

    hosts: tuple[str, ...]
    user: str | None
    jump: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestbedSpec:
    """`[testbed]`."""

    __test__ = False

    kind: TestbedKind
    chameleon: Chameleon | None = None
    static: StaticHosts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`[limits]`.

    Attributes:
        max_failures: the sweep ends when this many trials have failed for good.
        retries: further attempts at a trial whose failure is worth one.
    """

    max_failures: int
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """`[prices]`: only for the forecast of cost; null when not given.

    Attributes:
        electricity_per_kwh: in `currency`.
        node_hour: price of one node for an hour, in `currency`.
        su_per_node_hour: testbed service units charged per node and hour.
    """

    currency: str | None
    electricity_per_kwh: float | None
    node_hour: float | None
    su_per_node_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A whole sweep file.

    Attributes:
        source: the file it was read from; commands run in its folder.
        text: the file's text, kept under `spec/<hash>.toml`.
        spec_hash: first 16 hex digits of the SHA-256 of the text.
    """

    name: str
    workload: WorkloadSpec
    design: DesignSpec
    measurement: MeasurementSpec
    testbed: TestbedSpec
    limits: Limits
    prices: Prices
    mirror: str | None
    source: Path
    text: str
    spec_hash: str
