"""The tables of a measured command: energy of every domain, what they sum to, and every run beside the others.

A number is shown to two digits of its uncertainty. One that is not known reads "unavailable", never 0.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.measured.command import MeasuredCommand
from jobs.measured.record import idle_uncertainty_j
from sipa.analysis.intervals import Estimate, mean_interval
from sipa.energy.readings import DomainKind
from sipa.trial import Row

UNAVAILABLE = "unavailable"

_MOST_DECIMALS = 6
_NOTES = {
    DomainKind.CORE: "not added: in the package",
    DomainKind.UNCORE: "not added: in the package",
    DomainKind.PSYS: "not added: holds the rest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the table of energies.

    Attributes:
        joules: in each run.
        uncertainties_j: of each.
        common_j: uncertainty that all runs share, so that their interval does not show it; None if it is not known.
    """

    name: str
    joules: Sequence[float | None]
    uncertainties_j: Sequence[float | None]
    common_j: float | None = 0.0
    note: str = ""

    @property
    def mean_j(self) -> float | None:
        """Of all runs; None if one has no number."""
        known = [value for value in self.joules if value is not None]
        return math.fsum(known) / len(known) if len(known) == len(self.joules) else None

    @property
    def spread_j(self) -> float | None:
        """Half the 95 % interval of the mean, and what all runs share; of a single run its counting uncertainty."""
        if self.mean_j is None or self.common_j is None:
            return None
        if len(self.joules) == 1:
            return self.uncertainties_j[0]
        half_width = mean_interval([value for value in self.joules if value is not None]).half_width
        return None if half_width is None else half_width + self.common_j


def energy_table(measured: MeasuredCommand, rows: Sequence[Row]) -> Iterator[str]:
    """A line a domain, the total and, where there are idle windows, the net."""
    length_s = math.fsum(run.window.duration_s for run in measured.runs) / len(measured.runs)
    if measured.runs[0].window.estimate is not None:
        yield _cells("", "energy", "power", "")
        yield _estimate(rows, length_s)
        return
    counted, total, others = _domains(measured)
    lines = [*counted, total, *([_net(rows)] if measured.idle else []), *others]
    decimals = _decimals([line.spread_j for line in counted])
    yield _cells("", "energy", "power", "95 % interval" if len(rows) > 1 else "uncertainty")
    for line in lines:
        yield _text(line, length_s, decimals)


def run_table(measured: MeasuredCommand, rows: Sequence[Row]) -> Iterator[str]:
    """A line a run; below, standard deviations, which say what a single run is worth."""
    columns = _run_columns(measured)
    summaries = {name: _summary(rows, column) for name, (column, _) in columns.items()}
    decimals = {name: _decimals([summary.sd if summary else None]) for name, summary in summaries.items()}

    def line(label: str, values: Mapping[str, float | None]) -> list[str]:
        return [label, *(number_text(values[name], unit, decimals[name]) for name, (_, unit) in columns.items())]

    found = [line(str(n), {name: row[each] for name, (each, _) in columns.items()}) for n, row in enumerate(rows, 1)]
    found.append(line("mean", {name: summary.mean if summary else None for name, summary in summaries.items()}))
    found.append(line("sd", {name: summary.sd if summary else None for name, summary in summaries.items()}))
    mark = "  ESTIMATE" if "energy" in columns else ""
    heading = ["run", *columns]
    widths = [max(map(len, cells)) for cells in zip(heading, *found, strict=True)]
    yield _run_cells(heading, widths)
    yield from (_run_cells(cells, widths) + mark for cells in found)


def _run_columns(measured: MeasuredCommand) -> dict[str, tuple[str, str]]:
    """Heading -> column of a row, and its unit."""
    if measured.runs[0].window.estimate is not None:
        return {"time": ("window_s", "s"), "energy": ("energy_estimated_j", "J")}
    columns = {"time": ("window_s", "s"), "packages": ("energy_pkg_j", "J")}
    if measured.runs[0].window.parts(DomainKind.DRAM):
        columns["DRAM"] = ("energy_dram_j", "J")
    columns["total"] = ("energy_total_j", "J")
    return {**columns, "net": ("energy_net_j", "J")} if measured.idle else columns


def number_text(value: float | None, unit: str, decimals: int) -> str:
    """A number with its unit, or that there is none."""
    return UNAVAILABLE if value is None else f"{value:.{decimals}f} {unit}"


def _domains(measured: MeasuredCommand) -> tuple[list[_Line], _Line, list[_Line]]:
    """Lines of what is summed, of the sum, and of what is not."""
    windows = [run.window for run in measured.runs]
    counted: list[_Line] = []
    others: list[_Line] = []
    for name, first in windows[0].by_domain.items():
        each = [window.by_domain[name] for window in windows]
        line = _Line(
            name=name,
            joules=[energy.joules for energy in each],
            uncertainties_j=[energy.uncertainty_j for energy in each],
            note=_NOTES.get(first.domain.kind, ""),
        )
        (counted if first.domain.counted else others).append(line)
    total = _Line(
        name="total",
        joules=[window.total_j for window in windows],
        uncertainties_j=[window.total_uncertainty_j for window in windows],
    )
    return counted, total, others


def _net(rows: Sequence[Row]) -> _Line:
    return _Line(
        name="net",
        joules=[row["energy_net_j"] for row in rows],
        uncertainties_j=[row["energy_net_uncertainty_j"] for row in rows],
        common_j=idle_uncertainty_j(rows) if len(rows) > 1 else 0.0,
        note="less idle, its ± added" if len(rows) > 1 else "total less idle power",
    )


def _text(line: _Line, length_s: float, decimals: int) -> str:
    mean_j, spread_j = line.mean_j, line.spread_j
    power_w = mean_j / length_s if mean_j is not None and length_s > 0 else None
    return _cells(
        line.name,
        number_text(mean_j, "J", decimals),
        "" if power_w is None else number_text(power_w, "W", 2),
        "" if spread_j is None else f"± {spread_j:.{decimals}f} J",
        line.note,
    )


def _estimate(rows: Sequence[Row], length_s: float) -> str:
    line = _Line(name="machine", joules=[row["energy_estimated_j"] for row in rows], uncertainties_j=[None] * len(rows))
    mean_j = line.mean_j
    if mean_j is None:
        return _cells("machine", UNAVAILABLE, "", "ESTIMATE")
    power_w = number_text(mean_j / length_s, "W", 1) if length_s > 0 else ""
    # Two digits at least: no estimate that there is reads 0.
    decimals = 1 if mean_j >= 1 else _decimals([mean_j])
    return _cells("machine", number_text(mean_j, "J", decimals), power_w, "ESTIMATE")


def _summary(rows: Sequence[Mapping[str, float | None]], column: str) -> Estimate | None:
    known = [value for value in (row[column] for row in rows) if value is not None]
    return mean_interval(known) if len(known) == len(rows) else None


def _decimals(spreads: Sequence[float | None]) -> int:
    """So many that the smallest spread shows two digits; two where there is none."""
    known = [spread for spread in spreads if spread]
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(min(known))))) if known else 2


def _cells(name: str, energy: str, power: str, spread: str, note: str = "") -> str:
    return f"  {name:<9} {energy:>14} {power:>11} {spread:>14}  {note}".rstrip()


def _run_cells(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return f"  {first[0]:<{first[1]}}" + "".join(f"   {cell:>{width}}" for cell, width in others)
