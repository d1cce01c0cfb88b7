"""Which figures the rows can carry, and which they cannot and why. No drawing here.

Energy against latency is withheld when energy is an estimate: the model meter multiplies watts by time, so the figure
would show the model, not the machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipa.analysis.quantities import Quantity, Role, Scale, headed, of_role, quantities, scale
from sipa.analysis.stats import Levels, SweepSummary, check, factor_columns
from sipa.workloads import Value

if TYPE_CHECKING:
    import pandas as pd

MANY = 12
"""More levels than this are not told apart by colour."""

WITHHELD_ESTIMATE = (
    "Not drawn: the energy here is the model meter's estimate, watts(utilisation) × time. Energy against latency would "
    "show that product, whatever the machine really draws. Nothing follows from it; measure on a machine with counters."
)
WITHHELD_NO_ENERGY = "Not drawn: no row has an energy, measured or estimated."


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis shows.

    Attributes:
        column: of the rows.
        label: with the unit.
        factor: value × factor is what is drawn.
        levels: the levels in order if the column is a factor, else empty.
        text: whether the levels are names rather than numbers.
        zero: whether a linear axis shows 0, so that ratios are seen as they are.
    """

    column: str
    label: str
    factor: float = 1.0
    levels: tuple[Value, ...] = ()
    text: bool = False
    zero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure to be drawn.

    Attributes:
        series: the factor whose levels have colours and markers; None for a single colour.
        names: those levels, in order.
        along: the factor along which means are joined; None if nothing is joined.
        blurred: varying factors that neither an axis nor the series nor the lines show.
        estimated: whether it shows an estimate, which the figure then says in large letters.
    """

    key: str
    title: str
    x: Axis
    y: Axis
    series: str | None
    names: tuple[Value, ...]
    along: str | None
    along_levels: tuple[Value, ...]
    blurred: tuple[str, ...]
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A figure that is not drawn."""

    title: str
    reason: str


def choose(
    trials: "pd.DataFrame", summary: SweepSummary, levels: Levels | None = None
) -> tuple[tuple[Chart, ...], tuple[Withheld, ...]]:
    """The figures that the rows can carry, and those withheld with the reason.

    Raises:
        ResultsError: see `sipa.analysis.stats.check`.
    """
    check(trials)
    chooser = _Chooser(trials, summary, levels)
    return tuple(chooser.charts()), tuple(chooser.withheld())


class _Chooser:
    def __init__(self, trials: "pd.DataFrame", summary: SweepSummary, levels: Levels | None) -> None:
        self._summary = summary
        self._levels = {
            name: tuple(each for each in values if each is not None) for name, values in summary.levels.items()
        }
        found = quantities(trials, factor_columns(trials, levels))
        self._accuracy = of_role(found, Role.ACCURACY)
        self._time = of_role(found, Role.TIME)
        self._energies = [each for role in (Role.ENERGY, Role.ESTIMATE) if (each := of_role(found, role)) is not None]
        self._x = self._first_numeric()
        self._series = self._coloured()

    def charts(self) -> Iterator[Chart]:
        for energy in self._energies:
            estimated = energy.role is Role.ESTIMATE
            if self._accuracy:
                yield self._between(energy, self._accuracy, estimated)
            if self._time and not estimated:
                yield self._between(energy, self._time, estimated)
            if self._x:
                yield self._over_factor(energy, self._x, estimated)
        if self._time and self._x:
            yield self._over_factor(self._time, self._x, False)
        if self._time and self._accuracy:
            yield self._between(self._accuracy, self._time, False)
        if self._accuracy and self._x and self._series is None:
            yield self._over_factor(self._accuracy, self._x, False)

    def withheld(self) -> Iterator[Withheld]:
        roles = {each.role for each in self._energies}
        if roles == {Role.ESTIMATE}:
            yield Withheld(title="Energy against latency", reason=WITHHELD_ESTIMATE)
        if not roles:
            yield Withheld(title="Energy against accuracy, latency and batch size", reason=WITHHELD_NO_ENERGY)

    def _first_numeric(self) -> str | None:
        numeric = [name for name in self._summary.factors if _are_numbers(self._levels[name])]
        if "batch_size" in numeric:
            return "batch_size"
        texts = sorted(self._summary.factors, key=lambda name: name == "weights")
        return next(iter((*numeric, *texts)), None)

    def _coloured(self) -> str | None:
        """The factor that has colours: the weights, else another than the one on the axis, else that one if names."""
        few = [name for name in self._summary.factors if len(self._levels[name]) <= MANY]
        others = [name for name in few if name != self._x]
        names = [name for name in few if not _are_numbers(self._levels[name])]
        return "weights" if "weights" in few else next(iter((*others, *names)), None)

    def _between(self, y: Quantity, x: Quantity, estimated: bool) -> Chart:
        return self._chart(y, self._axis(x), x.label, f"{y.column}-{x.column}", estimated)

    def _over_factor(self, y: Quantity, name: str, estimated: bool) -> Chart:
        levels = self._levels[name]
        axis = Axis(column=name, label=_factor_label(name), levels=levels, text=not _are_numbers(levels))
        return self._chart(y, axis, name, f"{y.column}-{name}", estimated)

    def _chart(self, y: Quantity, x: Axis, over: str, key: str, estimated: bool) -> Chart:
        along = self._x if self._x and _are_numbers(self._levels[self._x]) else None
        return Chart(
            key=key,
            title=f"{y.label[:1].upper()}{y.label[1:]} against {_in_words(over)}",
            x=x,
            y=self._axis(y),
            series=self._series,
            names=self._levels[self._series] if self._series else (),
            along=along,
            along_levels=self._levels[along] if along else (),
            blurred=tuple(name for name in self._levels if name not in {self._series, along, x.column}),
            estimated=estimated,
        )

    def _axis(self, shown: Quantity) -> Axis:
        means = (each.metrics[shown.column].mean for each in self._summary.treatments)
        chosen: Scale = scale(shown.unit, means)
        return Axis(
            column=shown.column,
            label=headed(shown.label, chosen),
            factor=chosen.factor,
            zero=shown.role is not Role.ACCURACY,
        )


def _are_numbers(levels: Sequence[Value]) -> bool:
    return all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)


def _in_words(over: str) -> str:
    return {"batch_size": "batch size", "image_size": "image size"}.get(over, over)


def _factor_label(name: str) -> str:
    return {"batch_size": "batch size (images)", "image_size": "image size (px)"}.get(name, name)
