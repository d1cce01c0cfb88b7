"""`[design]`: which combinations of levels there are, after `exclude` and `include`, and whether any are left.

An entry of `exclude` takes out of the grid every combination that it matches; `include` adds to what is left, so it
may bring back one that was excluded, and its values may lie outside the levels.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sipa.spec.document import Design
from sipa.spec.lines import TomlPath
from sipa.spec.messages import Problems, did_you_mean, got, show, show_key
from sipa.spec.model import Combination, Levels
from sipa.spec.parameters import Parameters, fault
from sipa.spec.sections import Reading
from sipa.trial import canonical

MAX_TRIALS = 10_000_000
"""More are taken for a mistake: at ten seconds each they would run for three years."""


@dataclass(frozen=True, slots=True)
class Combinations:
    """Which treatments there are.

    Attributes:
        random_points: how many combinations of the grid are drawn; None: all.
        include: combinations added, each with every factor.
        exclude: combinations taken out of the grid before drawing, each with some factors.
    """

    random_points: int | None
    include: tuple[Combination, ...]
    exclude: tuple[Combination, ...]


def read_combinations(
    reading: Reading[Design], names: Collection[str], parameters: Parameters, problems: Problems
) -> Combinations:
    """Check `points`, `include` and `exclude` against the factors.

    Args:
        reading: `[design]`.
        names: the keys of `[factors]`.
        parameters: what is in order of them.
        problems: where everything wrong is noted.
    """
    design = reading.section or Design()
    before = len(problems)
    check = _Check(names, parameters, problems)
    found = Combinations(
        random_points=None if design.points == "grid" else int(design.points.removeprefix("random:")),
        include=tuple(check.entries("include", design.include, check.included)),
        exclude=tuple(check.entries("exclude", design.exclude, check.excluded)),
    )
    whole = reading.vouches("points", "include", "exclude", "repetitions") and len(problems) == before
    if whole and names == parameters.factors.keys():
        _check_size(found, parameters.factors, design.repetitions, problems)
    return found


@dataclass(frozen=True, slots=True)
class _Check:
    """The entries of `include` and `exclude` held against the factors."""

    names: Collection[str]
    parameters: Parameters
    problems: Problems

    def entries(
        self, key: str, entries: Iterable[object], check: Callable[[Mapping[str, Any], TomlPath], None]
    ) -> Iterator[Combination]:
        """The combinations of a list whose entries are in order."""
        seen: dict[Combination, int] = {}
        for index, entry in enumerate(entries):
            path: TomlPath = ("design", key, index)
            before = len(self.problems)
            if not isinstance(entry, dict):
                self.problems.add(path, "must be a table" + got(entry))
                continue
            check(entry, path)
            if len(self.problems) > before or not entry.keys() <= self.parameters.declared.keys():
                continue
            combination: Combination = tuple(sorted((name, canonical(each)) for name, each in entry.items()))
            if (first := seen.setdefault(combination, index)) != index:
                self.problems.add(path, f"says the same as {key}[{first}]")
            yield combination

    def included(self, entry: Mapping[str, Any], path: TomlPath) -> None:
        self._names(entry, path)
        for name in self.names:
            if name in entry:
                self._value(name, entry[name], path)
            else:
                self.problems.add(path, f"must name every factor: {show_key(name)} is missing")

    def excluded(self, entry: Mapping[str, Any], path: TomlPath) -> None:
        self._names(entry, path)
        if not entry:
            self.problems.add(path, "must name a level of at least one factor")
        for name, value in entry.items():
            levels = self.parameters.factors.get(name)
            if levels is None:
                self._value(name, value, path)
            elif _position(value, levels) is None:
                hint = did_you_mean(value, [level for level in levels if isinstance(level, str)])
                text = f"excludes nothing: {show(value)} is not a level of factors.{name}{hint}"
                self.problems.add((*path, name), text)

    def _value(self, name: str, value: object, path: TomlPath) -> None:
        declared = self.parameters.declared.get(name)
        if declared and (refusal := fault(declared, value)):
            self.problems.add((*path, name), refusal)

    def _names(self, entry: Mapping[str, Any], path: TomlPath) -> None:
        for name in entry:
            if name not in self.names:
                self.problems.add((*path, name), "is not a factor" + did_you_mean(name, self.names))


def _position(value: object, levels: Levels) -> int | None:
    """Where a value stands among levels; true is not 1."""
    for index, level in enumerate(levels):
        if level == value and isinstance(level, bool) is isinstance(value, bool):
            return index
    return None


def _check_size(found: Combinations, factors: Mapping[str, Levels], repetitions: int, problems: Problems) -> None:
    """Note a sweep of too many trials or of none, and points and entries that the grid cannot give."""
    grid = math.prod(map(len, factors.values()))
    points = found.random_points or grid
    if grid > MAX_TRIALS:
        text = f"make a grid of {_count(grid)} combinations; at most {MAX_TRIALS:,} can be planned"
        problems.add(("factors",), text)
        return
    if (points + len(found.include)) * repetitions > MAX_TRIALS:
        size = f"{points + len(found.include):,} combinations × {repetitions:,} repetitions"
        text = f"asks for too many trials: {size}; at most {MAX_TRIALS:,} can be planned"
        problems.add(("design", "repetitions"), text)
        return
    left = _count_left(found.exclude, factors) if found.exclude else grid
    if left == 0 and not found.include:
        problems.add(("design", "exclude"), "leaves nothing to measure")
    elif found.random_points and found.random_points > left:
        problems.add(("design", "points"), f"asks for {found.random_points:,} of {left:,} combinations")
    elif not found.random_points:
        for index, entry in enumerate(found.include):
            if _in_grid(entry, factors) and not any(set(each) <= set(entry) for each in found.exclude):
                problems.add(("design", "include", index), "adds nothing: the combination is in the grid already")


def _count(number: int) -> str:
    """A number for people; Python refuses to write out more than 4300 digits."""
    return f"{number:,}" if number < 10**15 else f"about 10^{int(number.bit_length() * math.log10(2))}"


def _in_grid(entry: Combination, factors: Mapping[str, Levels]) -> bool:
    return all(_position(value, factors[name]) is not None for name, value in entry)


def _count_left(exclude: Iterable[Combination], factors: Mapping[str, Levels]) -> int:
    """How many combinations of the grid no entry matches."""
    import numpy as np

    # One axis a factor; those of one level would only use up numpy's 64 axes.
    axes = [name for name, levels in factors.items() if len(levels) > 1]
    left = np.ones([len(factors[name]) for name in axes], dtype=bool)
    for entry in exclude:
        chosen = {name: _position(value, factors[name]) for name, value in entry}
        left[tuple(chosen.get(name, slice(None)) for name in axes)] = False
    return int(left.sum())
