"""The sections of a sweep file as pydantic models: keys, types, bounds, defaults and what each means.

`[workload]` and `[factors]` are not here: their keys are declared in `sipa.workloads`. Strict where TOML is: a text
is never read as a number and a boolean never as an integer; but 5.0 is the integer 5. What concerns several keys at
once is checked in `sipa.spec.build`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from sipa.spec.model import Gates, Meter, Order, Scope, TestbedKind
from sipa.trial import canonical

SCHEMA = 1
"""The version of the sweep file's format that this module reads."""

MAX_EXACT = 2**53
"""Integers up to this are the same number as a float."""


def _whole(value: Any) -> Any:
    return canonical(value) if isinstance(value, float) else value


def _listed(value: Any) -> Any:
    if value == "none":
        raise PydanticCustomError("no_meter", "must be a list; for no energy at all write meter = []")
    return [value] if isinstance(value, str) else value


def _range(value: Any) -> Any:
    return {"min": value, "max": value} if isinstance(value, int | float) else value


FORMS = {
    r"^[a-z0-9][a-z0-9_-]{0,40}$": "must be 1 to 41 of the characters a-z 0-9 _ -, the first a letter or a digit",
    r"^[a-z][a-z0-9_]{0,62}$": "must be 1 to 63 of the characters a-z 0-9 _, the first a letter",
    r"^(grid|random:[1-9][0-9]{0,8})$": "must be 'grid' or, for 40 random combinations, 'random:40'",
    r"^[A-Z]{3}$": "must be a currency code of three capital letters, such as 'EUR'",
    r"^[A-Za-z0-9_][A-Za-z0-9_.:@,-]*$": "must be a host as ssh takes it, such as 'node1.example.org'",
    r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*:.+$": "must be a folder as rsync takes it, such as 'user@host:path'",
    r"^[^\x00-\x1f\x7f]+$": "must be a text of at least one character, all on one line",
}
"""Pattern of a text -> the rule in words."""

NAME, IDENTIFIER, POINTS, CURRENCY, HOST, REMOTE, LINE = FORMS

Integer = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
Count = Annotated[int, Field(strict=True, gt=0), BeforeValidator(_whole)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Line = Annotated[str, Field(strict=True, pattern=LINE)]
Host = Annotated[str, Field(strict=True, pattern=HOST)]

Entries = Annotated[tuple[Any, ...], WithJsonSchema({"type": "array", "items": {"type": "object"}})]

DAY_S = 86_400.0


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        field_title_generator=lambda name, _: name,
    )


class Stop(Section):
    """Repeat a treatment only until its metric is known well enough; `repetitions` is then the maximum."""

    metric: Annotated[str, Field(strict=True, pattern=IDENTIFIER)]
    """a numeric column of the results, such as energy_per_image_j"""
    half_width: Annotated[Number, Field(gt=0, lt=1)]
    """half width of the confidence interval relative to the mean, such as 0.02"""
    min_repetitions: Annotated[Integer, Field(ge=2)]
    """never fewer repetitions than this"""
    confidence: Annotated[Number, Field(gt=0, lt=1)] = 0.95
    """of the interval, over all looks together"""


class Design(Section):
    """Which combinations are measured, how often, and in which order."""

    repetitions: Annotated[Count, Field(le=10_000)] = 5
    """how often every treatment is measured; each repetition is a block of all treatments"""
    order: Order = Order.RANDOMISED_BLOCKS
    """'randomised-blocks', or 'as-listed'"""
    seed: Annotated[Integer, Field(ge=0, le=MAX_EXACT)] = 0
    """of the random order and the random points"""
    points: Annotated[str, Field(strict=True, pattern=POINTS)] = "grid"
    """'grid': every combination; 'random:40': forty of them"""
    include: Entries = ()
    """combinations added to the grid; each names every factor"""
    exclude: Entries = ()
    """combinations left out of the grid; each names some factors"""
    stop: Stop | None = None
    """repeat a treatment only until its metric is known well enough"""


class Model(Section):
    """The declared constants of the estimate; every number that comes from them is an estimate."""

    idle_w: Annotated[Number, Field(gt=0)]
    """power of the idle machine, in watts"""
    max_w: Annotated[Number, Field(gt=0)]
    """power of the machine with all CPUs busy, in watts"""


class Measurement(Section):
    """How a trial is measured."""

    meter: Annotated[
        tuple[Meter, ...],
        BeforeValidator(_listed),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": [*Meter]},
                    {"type": "array", "items": {"enum": [*Meter]}, "uniqueItems": True},
                ]
            }
        ),
    ] = (Meter.POWERCAP, Meter.PERF)
    """energy sources in order of preference; 'model' is an estimate; [] measures no energy"""
    idle_s: Annotated[Number, Field(ge=0, le=DAY_S)] = 60.0
    """idle time between two trials, in seconds"""
    min_window_s: Annotated[Number, Field(gt=0, le=DAY_S)] = 10.0
    """the measured window is at least this long, in seconds"""
    warmup_max_s: Annotated[Number, Field(gt=0, le=DAY_S)] = 60.0
    """warm-up ends when throughput and temperature are steady, or after so many seconds, which is flagged"""
    cooldown_within_c: Annotated[Number, Field(gt=0, le=100)] = 3.0
    """a trial waits until the packages are at most this much warmer than when the node was idle, in kelvin"""
    cooldown_timeout_s: Annotated[Number, Field(ge=0, le=DAY_S)] = 300.0
    """it waits at most so long, in seconds, which is flagged; 0 does not wait"""
    control_s: Annotated[Number, Field(ge=0, le=DAY_S)] = 60.0
    """nominal length of the control workload at a session's start, between blocks and at the end; 0 runs none"""
    max_foreign_cores: Annotated[Number, Field(ge=0, le=4096)] = 0.05
    """CPU time of others during the window, in cores"""
    gates: Gates = Gates.REFUSE
    """what a tripped gate does: 'refuse' fails the trial, 'flag' marks its row"""
    deadline_s: Annotated[Number, Field(gt=0, le=30 * DAY_S)] = 3600.0
    """a trial that takes longer is killed, in seconds"""
    governor: Literal["performance", "powersave", "schedutil", "ondemand", "conservative", "userspace"] | None = None
    """CPU frequency governor for the time of the sweep; left alone if not given"""
    turbo: Switch | None = None
    """whether turbo is on for the time of the sweep; left alone if not given"""
    scope: Scope = Scope.PHASES
    """'phases' of the trial, or the 'process' as a whole"""
    model: Model | None = None
    """the constants behind meter = 'model'"""


class LocalTestbed(Section):
    """This machine."""

    kind: Literal[TestbedKind.LOCAL] = TestbedKind.LOCAL
    """where the nodes come from"""
    nodes: Annotated[Any, WithJsonSchema({"const": 1})] = 1
    """this machine is one node"""


class StaticTestbed(Section):
    """Hosts that you already have, reached by ssh."""

    kind: Literal[TestbedKind.STATIC]
    """where the nodes come from"""
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    """the measuring nodes"""
    user: Line | None = None
    """who logs in; ssh decides if not given"""
    jump: Host | None = None
    """the host to jump over"""


class NodeRange(Section):
    """At least so many nodes, at most so many."""

    min: Count
    """the sweep does not start with fewer"""
    max: Count
    """no more are asked for"""


class ChameleonTestbed(Section):
    """Bare-metal nodes leased from Chameleon."""

    kind: Literal[TestbedKind.CHAMELEON]
    """where the nodes come from"""
    site: Line = "CHI@UC"
    """the site that is asked for nodes"""
    node_types: Annotated[tuple[Line, ...], Field(min_length=1)] = (
        "compute_cascadelake_r_ib",
        "compute_cascadelake_r",
    )
    """node types in order of preference; one lease has one type"""
    nodes: Annotated[
        NodeRange,
        BeforeValidator(_range),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {
                        "type": "object",
                        "properties": {
                            "min": {"type": "integer", "minimum": 1},
                            "max": {"type": "integer", "minimum": 1},
                        },
                        "required": ["min", "max"],
                        "additionalProperties": False,
                    },
                ]
            }
        ),
    ] = NodeRange(min=2, max=5)
    """measuring nodes: a number, or { min = 2, max = 5 }"""
    head: Literal["dedicated", "shared", "auto"] = "auto"
    """the driver's node: 'dedicated' is one more; 'shared' is the first; 'auto' shares below four nodes"""
    hours: Annotated[Number, Field(gt=0, le=168)] = 8.0
    """length of the lease; Chameleon grants seven days at most"""
    image: Line = "CC-Ubuntu24.04"
    """the operating system"""
    key: Line | None = None
    """name of your key pair at the site"""
    network: Line = "sharednet1"
    """the network that the nodes join"""
    max_su: Annotated[Number, Field(gt=0)] = 100.0
    """never lease more than this, in service units"""


TESTBEDS: dict[TestbedKind, type[LocalTestbed | StaticTestbed | ChameleonTestbed]] = {
    TestbedKind.LOCAL: LocalTestbed,
    TestbedKind.STATIC: StaticTestbed,
    TestbedKind.CHAMELEON: ChameleonTestbed,
}


class LimitsSection(Section):
    """When to give up."""

    max_failures: Annotated[Count, Field(le=MAX_EXACT)] = 3
    """the sweep ends when this many trials have failed for good"""
    retries: Annotated[Integer, Field(ge=0, le=100)] = 2
    """further attempts at a trial whose failure is worth one"""


class PricesSection(Section):
    """Only for the forecast of cost."""

    currency: Annotated[str, Field(strict=True, pattern=CURRENCY)] | None = None
    """of the prices, such as 'EUR'"""
    electricity_per_kwh: Annotated[Number, Field(ge=0)] | None = None
    """price of a kilowatt-hour"""
    node_hour: Annotated[Number, Field(ge=0)] | None = None
    """price of one node for an hour"""
    su_per_node_hour: Annotated[Number, Field(ge=0)] | None = None
    """service units that the testbed charges for one node and hour"""


class ResultsSection(Section):
    """Where the rows go besides the results folder."""

    mirror: Annotated[str, Field(strict=True, pattern=REMOTE)] | None = None
    """each row is copied there as it is made, such as 'user@host:path'"""


class Work(Section):
    """What the command gets done."""

    unit: Annotated[str, Field(strict=True, pattern=IDENTIFIER)]
    """what one unit of work is called, such as 'image'"""
    key: Line | None = None
    """key of the JSON line that counts the units done; one run is one unit if not given"""


class CommandSettings(Section):
    """Keys of `[workload]` that only kind = "command" has and that are no parameters."""

    metrics: dict[str, Literal["integer", "number", "text", "boolean"]] = {}
    """name -> type of each key of the JSON line that becomes a column"""
    work: Work | None = None
    """what the command gets done; one run is one unit if not given"""
    begin_marker: Line | None = None
    """a line of standard output that is exactly this opens the measured window"""
    end_marker: Line | None = None
    """a line of standard output that is exactly this closes it"""
    inputs: tuple[Line, ...] = ()
    """files whose content belongs to the trial's identity; {name} as in the command"""


class Head(Section):
    """The keys before the first table, but for `schema`: without the right one nothing else can be judged."""

    name: Annotated[str, Field(strict=True, pattern=NAME)]
    """names the results folder and the lease"""


SECTIONS: dict[str, type[Section]] = {
    "design": Design,
    "measurement": Measurement,
    "limits": LimitsSection,
    "prices": PricesSection,
    "results": ResultsSection,
}
"""Tables whose form depends on nothing else."""

TABLES = ("workload", "factors", *SECTIONS, "testbed")
KEYS = ("schema", "name", *TABLES)
