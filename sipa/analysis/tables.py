"""A summary as text cells for a terminal or a page, as JSON records, and as a frame.

Text cells have a prefix chosen for the whole column (ms, kJ); records and frames are SI and keep every digit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sipa.analysis.intervals import Estimate
from sipa.analysis.quantities import digits, headed, mean_and_reach, own_metric, quantity, scale
from sipa.analysis.stats import Summary, SweepSummary
from sipa.columns import NAMES

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """Cells as text, not aligned.

    Attributes:
        headers: names, with units.
        rows: one a treatment, as long as the headers.
        numeric: whether a column is best aligned to the right.
        caption: what n and ± mean.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    caption: str


def text_table(summary: SweepSummary, trials: "pd.DataFrame") -> TextTable:
    """One row a treatment: where it comes from if that varies, its parameters, n, every metric.

    Args:
        summary: of `trials`.
        trials: rows as `sipa.load` gives them; gives the units.
    """
    columns = [*_origins(summary), *_parameters(summary), ("n", _count, True), *_metrics(summary, trials)]
    return TextTable(
        headers=tuple(header for header, _, _ in columns),
        rows=tuple(tuple(cell(each) for _, cell, _ in columns) for each in summary.treatments),
        numeric=tuple(right for _, _, right in columns),
        caption=caption(summary),
    )


def caption(summary: SweepSummary) -> str:
    """What n and ± mean in a table of this summary."""
    which = "all rows" if summary.with_invalid else "the valid rows"
    return (
        f"Mean over {which} ± half the {summary.confidence:.0%} interval (Student's t). n: repetitions averaged; "
        "a/b: a of b rows are valid. ±0: the same in every repetition. No ±: one repetition."
    )


def records(summary: SweepSummary) -> list[dict[str, Any]]:
    """One JSON object a treatment, SI units."""
    return [
        {
            "sweep": each.sweep,
            "replicate": each.replicate,
            "treatment_id": each.treatment_id,
            "parameters": dict(each.parameters),
            "n": each.n,
            "n_valid": each.n_valid,
            "confidence": summary.confidence,
            "metrics": {name: _record(estimate) for name, estimate in each.metrics.items()},
        }
        for each in summary.treatments
    ]


def frame(summary: SweepSummary) -> "pd.DataFrame":
    """One row a treatment: parameters, n, n_valid, and n_, mean_, sd_, ci_low_, ci_high_ of each metric."""
    import pandas as pd

    flat = []
    for each in records(summary):
        metrics = each.pop("metrics")
        parts = {f"{part}_{name}": value for name, values in metrics.items() for part, value in values.items()}
        flat.append({**each, **each.pop("parameters"), **parts})
    return pd.DataFrame(flat).drop(columns=["parameters"], errors="ignore")


def interval_text(estimate: Estimate, factor: float = 1.0) -> str:
    """Mean and half width as one cell."""
    if estimate.mean is None:
        return NOTHING
    if estimate.half_width is None:
        return digits(estimate.mean * factor)
    mean, reach = mean_and_reach(estimate.mean * factor, estimate.half_width * factor)
    return f"{mean} ±{reach}"


_Cells = tuple[str, Callable[[Summary], str], bool]


def _origins(summary: SweepSummary) -> list[_Cells]:
    cells: list[_Cells] = []
    if len({each.sweep for each in summary.treatments}) > 1:
        cells.append(("sweep", lambda each: each.sweep, False))
    if len({each.replicate for each in summary.treatments}) > 1:
        cells.append(("replicate", lambda each: each.replicate or "(first)", False))
    return cells


def _parameters(summary: SweepSummary) -> list[_Cells]:
    def column(name: str) -> _Cells:
        values = [each.parameters[name] for each in summary.treatments]
        right = all(isinstance(value, int | float) or value is None for value in values)
        return name, lambda each: _value(each.parameters[name]), right

    return [column(name) for name in summary.factors]


def _value(value: object) -> str:
    return NOTHING if value is None else str(value)


def _count(each: Summary) -> str:
    return str(each.n) if each.n == each.n_valid else f"{each.n_valid}/{each.n}"


def _metrics(summary: SweepSummary, trials: "pd.DataFrame") -> list[_Cells]:
    def column(name: str) -> _Cells:
        found = quantity(name, trials) if name in NAMES else own_metric(name)
        shown = scale(found.unit, (each.metrics[name].mean for each in summary.treatments))
        return headed(found.label, shown), lambda each: interval_text(each.metrics[name], shown.factor), True

    return [column(name) for name in summary.metrics]


def _record(estimate: Estimate) -> dict[str, float | int | None]:
    return {
        "n": estimate.n,
        "mean": estimate.mean,
        "sd": estimate.sd,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
    }
