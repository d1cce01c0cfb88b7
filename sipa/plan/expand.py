"""A sweep file's factors as treatments: the grid in file order or a random part, less and plus what is named.

A random draw takes the combinations with the smallest hash under the seed: it needs no generator, so it is
the same under every version of every library, and a level more in the file moves no point that stays in the
draw.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import product

from sipa.spec.model import Combination, CommandOutput, DesignSpec, Levels, SweepSpec, WorkloadSpec
from sipa.trial import Treatment, canonical, digest
from sipa.workloads import Kind, Value

Parameters = dict[str, Value]

Contents = Callable[[Kind, Mapping[str, Value]], Mapping[str, str]]
"""What the names in a combination stand for: kind and parameters -> {"weights_sha256": ..., ...}."""


def expand(spec: SweepSpec, contents: Contents) -> tuple[Treatment, ...]:
    """Every treatment of a sweep, in the order of the file.

    Args:
        spec: the sweep.
        contents: called once for each combination; it remembers the hashes of files itself.
    """
    kind = spec.workload.kind
    declared = _declared(spec.workload)
    return tuple(
        Treatment(kind=kind, parameters=parameters, contents={**contents(kind, parameters), **declared})
        for parameters in combinations(spec)
    )


def combinations(spec: SweepSpec) -> list[Parameters]:
    """Every parameter of each treatment, all combinations different; needs no file but the sweep's.

    Excluded combinations are taken out before the draw, included ones are added after it: what is included is
    there, whatever `exclude` says.
    """
    design = spec.design
    grid = [each for each in _grid(spec.workload) if not _excluded(each, design.exclude)]
    chosen = grid if design.random_points is None else _draw(grid, design.random_points, design.seed)
    return _add(chosen, _included(spec.workload, design))


def _grid(workload: WorkloadSpec) -> Iterator[Parameters]:
    names = [name for name, _ in workload.factors]
    fixed = {name: canonical(value) for name, value in workload.fixed}
    for values in product(*(_distinct(levels) for _, levels in workload.factors)):
        yield {**dict(zip(names, values, strict=True)), **fixed}


def _distinct(levels: Levels) -> list[Value]:
    return list({_key(value): canonical(value) for value in levels}.values())


def _key(value: Value) -> tuple[bool, Value]:
    """Two values are the same level if these are equal; plain equality takes True for 1."""
    return isinstance(value, bool), canonical(value)


def _excluded(parameters: Parameters, exclude: Iterable[Combination]) -> bool:
    return any(
        all(name in parameters and _key(parameters[name]) == _key(value) for name, value in combination)
        for combination in exclude
    )


def _draw(grid: list[Parameters], points: int, seed: int) -> list[Parameters]:
    """The points with the smallest hashes, in the order of the grid."""
    ranked = ((digest([seed, parameters]), index) for index, parameters in enumerate(grid))
    return [grid[index] for index in sorted(index for _, index in nsmallest(points, ranked))]


def _included(workload: WorkloadSpec, design: DesignSpec) -> Iterator[Parameters]:
    names = [name for name, _ in workload.factors]
    fixed = {name: canonical(value) for name, value in workload.fixed}
    for combination in design.include:
        levels = dict(combination)
        yield {**{name: canonical(levels[name]) for name in names}, **fixed}


def _add(chosen: list[Parameters], included: Iterable[Parameters]) -> list[Parameters]:
    extra = list(included)
    if not extra:
        return chosen
    by_key = {tuple(map(_key, each.values())): each for each in (*chosen, *extra)}
    return list(by_key.values())


def _declared(workload: WorkloadSpec) -> dict[str, str]:
    """What a command declares of its output decides what its numbers mean, so it is hashed."""
    match workload.kind:
        case Kind.COMMAND:
            return {"output": digest(_output(workload.output))}
        case _:
            return {}


def _output(output: CommandOutput) -> dict[str, object]:
    return {
        "metrics": {name: str(kind) for name, kind in output.metrics},
        "work_unit": output.work_unit,
        "work_key": output.work_key,
        "begin_marker": output.begin_marker,
        "end_marker": output.end_marker,
    }
