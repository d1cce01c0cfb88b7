"""Which columns people look at first, what they are called, and in which unit they are printed.

Values stay SI until they are printed; a prefix (ms, kJ) is chosen once for a whole column, never for a single value.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sipa.columns import BY_NAME, NAMES

if TYPE_CHECKING:
    import pandas as pd


class Role(StrEnum):
    """What a quantity stands for in a figure."""

    ACCURACY = "accuracy"
    TIME = "time"
    THROUGHPUT = "throughput"
    ENERGY = "energy"
    ESTIMATE = "estimate"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A result column as people see it.

    Attributes:
        unit: SI, like "s/image"; "1" for ratios and for numbers whose unit nobody declared.
        source: where its values come from, in words.
    """

    column: str
    role: Role
    label: str
    unit: str
    source: str


_CLOCK = "measured: the node's monotonic clock"
_SCORED = "computed: scored from the trial's own detections with pycocotools"
_REPORTED = "reported by the command on its standard output; not checked"
_COUNTERS = "measured: the processor's energy counters"
_MODEL = "ESTIMATED by the model meter: declared watts and CPU utilisation, no counter"

_FIRST: tuple[tuple[str, Role, str, str], ...] = (
    ("map_50_95", Role.ACCURACY, "AP 0.50:0.95", _SCORED),
    ("f1", Role.ACCURACY, "F1 at IoU 0.5", _SCORED),
    ("time_per_image_s", Role.TIME, "time per image", _CLOCK),
    ("time_per_work_unit_s", Role.TIME, "time per work unit", _CLOCK),
    ("latency_batch_mean_s", Role.TIME, "latency of a batch", _CLOCK),
    ("throughput_images_per_s", Role.THROUGHPUT, "throughput", _CLOCK),
    ("throughput_work_units_per_s", Role.THROUGHPUT, "throughput", _CLOCK),
    ("energy_per_image_j", Role.ENERGY, "energy per image", _COUNTERS),
    ("energy_per_work_unit_j", Role.ENERGY, "energy per work unit", _COUNTERS),
    ("energy_estimated_per_image_j", Role.ESTIMATE, "estimated energy (model meter)", _MODEL),
    (
        "energy_estimated_per_work_unit_j",
        Role.ESTIMATE,
        "estimated energy (model meter)",
        _MODEL,
    ),
    (
        "memory_peak_bytes",
        Role.MEMORY,
        "peak memory",
        "measured: the kernel's account of the trial's processes",
    ),
)
_IMAGE_TWIN = {
    "time_per_work_unit_s": "time_per_image_s",
    "throughput_work_units_per_s": "throughput_images_per_s",
    "energy_per_work_unit_j": "energy_per_image_j",
    "energy_estimated_per_work_unit_j": "energy_estimated_per_image_j",
}


def quantities(trials: "pd.DataFrame", factors: Collection[str]) -> tuple[Quantity, ...]:
    """The quantities that the rows have, in the order of interest: accuracy, time, throughput, energy, memory.

    A workload's own metrics (numeric columns that are neither fixed nor a factor) count as its accuracy.

    Args:
        trials: rows as `sipa.load` gives them.
        factors: names of the columns that are factors.
    """
    unit = work_unit(trials)
    metrics = (own_metric(name) for name in own_metrics(trials, factors))
    fixed = (_fixed(*entry, unit=unit) for entry in _FIRST if _is_there(trials, entry[0]))
    return (*metrics, *fixed)


def quantity(column: str, trials: "pd.DataFrame") -> Quantity:
    """The quantity of any numeric column, also one that is not of first interest."""
    known = next((entry for entry in _FIRST if entry[0] == column), None)
    if known is not None:
        return _fixed(*known, unit=work_unit(trials))
    if column not in NAMES:
        return own_metric(column)
    role = Role.ESTIMATE if "estimated" in column else Role.ENERGY if column.startswith("energy") else Role.TIME
    return Quantity(column=column, role=role, label=column, unit=BY_NAME[column].unit, source=BY_NAME[column].meaning)


def own_metrics(trials: "pd.DataFrame", factors: Collection[str]) -> tuple[str, ...]:
    """Numeric columns of the sweep's own that are no factors and have a value."""
    own = [str(name) for name in trials.columns if name not in NAMES and name not in factors]
    return tuple(name for name in own if is_number(trials[name]) and trials[name].notna().any())


def own_metric(name: str) -> Quantity:
    """A metric that the command declares; its unit is known to the command only."""
    return Quantity(column=name, role=Role.ACCURACY, label=name, unit="1", source=_REPORTED)


def work_unit(trials: "pd.DataFrame") -> str:
    """What one unit of work is called: the rows' own word if they agree on one."""
    words = list(trials["work_unit"].dropna().unique()) if "work_unit" in trials else []
    return str(words[0]) if len(words) == 1 else "unit"


def is_number(series: "pd.Series") -> bool:
    """Whether a column holds numbers; a boolean is not one."""
    return series.dtype.kind in "iuf"


def _is_there(trials: "pd.DataFrame", column: str) -> bool:
    if column not in trials or not trials[column].notna().any():
        return False
    twin = _IMAGE_TWIN.get(column)
    if twin is None or twin not in trials:
        return True
    return bool((trials[column].notna() & trials[twin].isna()).any())


def _fixed(column: str, role: Role, label: str, source: str, *, unit: str) -> Quantity:
    si = BY_NAME[column].unit
    if column in _IMAGE_TWIN:
        label = label.replace("work unit", unit)
        si = si.replace("units/s", f"{unit}/s").replace("/unit", f"/{unit}")
    return Quantity(column=column, role=role, label=label, unit=si, source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a column is printed: value × factor, in `unit`."""

    factor: float
    unit: str


_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_SCALED = {"s": 1.0, "J": 1e6, "W": 1e6, "B": 1e9, "Hz": 1e9}
"""Units that take prefixes, and the largest prefix each takes: nobody says kiloseconds."""


def scale(unit: str, values: Iterable[float | None]) -> Scale:
    """The prefix that gives the middle of the values one to three digits before the point."""
    base, slash, per = unit.partition("/")
    sizes = sorted(abs(value) for value in values if value)
    if base not in _SCALED or not sizes:
        return Scale(factor=1.0, unit="" if unit == "1" else unit)
    middle = sizes[len(sizes) // 2]
    usable = [(size, prefix) for size, prefix in _PREFIXES if size <= _SCALED[base]]
    size, prefix = next(((size, prefix) for size, prefix in usable if middle >= size), usable[-1])
    return Scale(factor=1 / size, unit=f"{prefix}{base}{slash}{per}")


def digits(value: float, significant: int = 4) -> str:
    """A number with that many significant digits and without an exponent where it is readable without."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    if not -4 <= exponent <= 8:
        return f"{value:.{significant - 1}e}"
    return f"{value:.{max(0, significant - 1 - exponent)}f}"


def mean_and_reach(mean: float, reach: float) -> tuple[str, str]:
    """Both with the decimals that the reach supports: two digits of it, at most five of the mean."""
    if reach == 0:
        return digits(mean), "0"
    size = math.floor(math.log10(abs(mean))) if mean else 0
    places = max(0, min(1 - math.floor(math.log10(reach)), 4 - size, 9))
    return f"{mean:.{places}f}", f"{reach:.{places}f}"


def headed(label: str, shown: Scale) -> str:
    """A header: the label, with the unit in brackets where there is one."""
    return f"{label} ({shown.unit})" if shown.unit else label


def of_role(found: Sequence[Quantity], *roles: Role) -> Quantity | None:
    """The first quantity with one of these roles, or None."""
    return next((each for each in found if each.role in roles), None)
