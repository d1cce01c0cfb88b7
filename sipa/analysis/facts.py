"""Everything that a results folder says about a sweep, read once: rows, plan, specs, failures, machines.

Only the rows are needed. What else is missing or damaged is named in `unreadable` and left out: a report of a folder
that was half copied says so instead of failing.
"""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from sipa.analysis.stats import Levels, check
from sipa.errors import ResultsError
from sipa.results.layout import SweepFolder
from sipa.results.store import table_of
from sipa.trial import TrialFailure

if TYPE_CHECKING:
    import pandas as pd

    from sipa.analysis.quantities import Quantity

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSpec:
    """A sweep file that was run.

    Attributes:
        values: parsed; empty if it cannot be parsed.
    """

    spec_hash: str
    text: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFacts:
    """What a results folder holds.

    Attributes:
        trials: the committed rows.
        plan: the planned trials in order, with their parameters; None without a readable plan.
        specs: the sweep files that were run, the present one first.
        failures: failed attempts by trial, in the order of attempts.
        environments: fingerprints by id.
        superseded: rows of an earlier spec, moved aside.
        duplicates: later attempts of trials that were already committed.
        unreadable: files that could not be read, with the reason.
    """

    folder: SweepFolder
    trials: "pd.DataFrame"
    plan: "pd.DataFrame | None"
    specs: tuple[KeptSpec, ...]
    failures: Mapping[str, tuple[TrialFailure, ...]]
    environments: Mapping[str, Mapping[str, Any]]
    superseded: int
    duplicates: int
    unreadable: tuple[str, ...]

    def quantities(self) -> "tuple[Quantity, ...]":
        """What the rows have to say besides their parameters."""
        from sipa.analysis.quantities import quantities
        from sipa.analysis.stats import factor_columns

        return quantities(self.trials, factor_columns(self.trials, self.levels))

    @property
    def name(self) -> str:
        """The sweep's name: the rows' own if they agree on one."""
        names = self.trials["sweep"].dropna().unique()
        return str(names[0]) if len(names) == 1 else self.folder.path.resolve().name

    @property
    def spec(self) -> Mapping[str, Any]:
        """The present sweep file, parsed; empty if there is none."""
        return self.specs[0].values if self.specs else {}

    @property
    def levels(self) -> Levels | None:
        """The present spec's factors; None if there is no spec to say."""
        factors = self.spec.get("factors")
        if not isinstance(factors, Mapping):
            return {} if self.spec else None
        return {name: values for name, values in factors.items() if isinstance(values, list)}

    @property
    def planned(self) -> tuple[str, ...] | None:
        """Ids of the planned trials in order; None without a plan."""
        return None if self.plan is None else tuple(str(each) for each in self.plan["trial_id"])

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of planned trials without a row."""
        there = set(self.trials["trial_id"])
        return tuple(each for each in self.planned or () if each not in there)

    @property
    def unplanned(self) -> int:
        """Rows that the present plan does not name: of another replicate, or of an earlier spec."""
        return 0 if self.planned is None else len(self.trials) - (len(self.planned) - len(self.missing))

    def setting(self, section: str, key: str) -> Any:
        """A value of the present spec, or None."""
        table = self.spec.get(section)
        return table.get(key) if isinstance(table, Mapping) else None


def read_facts(path: Path) -> SweepFacts:
    """Read a results folder.

    Raises:
        ResultsError: no such folder, not a results folder, or no rows yet; with the cure.
    """
    folder = SweepFolder(path)
    trials = _trials(folder)
    reader = _Reader()
    return SweepFacts(
        folder=folder,
        trials=trials,
        plan=reader.read(folder.plan, _plan) if folder.plan.exists() else None,
        specs=tuple(reader.read_all(_newest_first(folder.specs, "*.toml"), _spec)),
        failures=_by_trial(reader.read_all(sorted(folder.failures.glob("*.json")), _failure)),
        environments=dict(reader.read_all(sorted(folder.environments.glob("*.json")), _environment)),
        superseded=_count(folder.superseded),
        duplicates=_count(folder.duplicates),
        unreadable=tuple(reader.problems),
    )


def _trials(folder: SweepFolder) -> "pd.DataFrame":
    if not folder.path.is_dir():
        raise ResultsError(f"{folder.path}: no such results folder. Name one like results/quickstart.")
    if not folder.trials.is_dir():
        raise ResultsError(
            f"{folder.path}: not a results folder: it has no folder trials/. Name one like results/quickstart."
        )
    try:
        trials: pd.DataFrame = table_of(folder.path).to_pandas()
        check(trials)
    except ResultsError as error:
        raise ResultsError(f"{folder.path}: {error}") from error
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(
            f"{folder.trials}: a file there is no readable row: {error}. Move it away and run the sweep again."
        ) from error
    return trials


@dataclass(slots=True)
class _Reader:
    """Reads what may be damaged, and keeps the reasons."""

    problems: list[str] = field(default_factory=list)

    def read(self, path: Path, how: Callable[[Path], _Read]) -> _Read | None:
        try:
            return how(path)
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
            self.problems.append(f"{path.parent.name}/{path.name}: {error}")
            return None

    def read_all(self, paths: list[Path], how: Callable[[Path], _Read]) -> list[_Read]:
        return [found for path in paths if (found := self.read(path, how)) is not None]


def _plan(path: Path) -> "pd.DataFrame":
    plan: pd.DataFrame = pq.read_table(path).to_pandas()
    if "trial_id" not in plan:
        raise ValueError("no column trial_id")
    return plan


def _spec(path: Path) -> KeptSpec:
    text = path.read_text(encoding="utf-8")
    return KeptSpec(spec_hash=path.stem, text=text, values=tomllib.loads(text))


def _failure(path: Path) -> TrialFailure:
    return TrialFailure(**json.loads(path.read_bytes()))


def _environment(path: Path) -> tuple[str, Mapping[str, Any]]:
    values = json.loads(path.read_bytes())
    if not isinstance(values, dict):
        raise TypeError("not a JSON object")
    return path.stem, values


def _by_trial(failures: list[TrialFailure]) -> dict[str, tuple[TrialFailure, ...]]:
    found: dict[str, tuple[TrialFailure, ...]] = {}
    for each in sorted(failures, key=lambda each: (each.trial_id, each.attempt)):
        found[each.trial_id] = (*found.get(each.trial_id, ()), each)
    return found


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    """The present spec is written anew by every run, so it is the youngest."""
    return sorted(folder.glob(pattern), key=lambda path: (-path.stat().st_mtime_ns, path.name))


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.parquet"))
