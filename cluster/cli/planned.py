"""The plan as a results folder keeps it: which trials the last run wanted, and what each is called."""

from dataclasses import dataclass
from typing import Any

from sipa.results.layout import SweepFolder
from sipa.trial import canonical

_OWN = frozenset({"planned_position", "trial_id", "treatment_id", "repetition", "replicate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrial:
    """One line of plan.parquet.

    Attributes:
        label: the parameters that vary in this sweep, for people.
    """

    trial_id: str
    treatment_id: str
    repetition: int
    label: str

    @property
    def name(self) -> str:
        """What to call the trial on one line."""
        return f"{self.label} repetition {self.repetition}".strip()


def planned(folder: SweepFolder) -> dict[str, PlannedTrial]:
    """The planned trials by id, in planned order; empty before the first run.

    Raises:
        ResultsError: plan.parquet is damaged.
    """
    if not folder.plan.is_file():
        return {}
    from sipa.results.store import read_rows

    rows = read_rows(folder.plan)
    varying = [name for name in (rows[0] if rows else {}) if name not in _OWN and _varies(rows, name)]
    return {row["trial_id"]: _trial(row, varying) for row in rows}


def names(folder: SweepFolder) -> dict[str, str]:
    """trial_id -> what to call the trial, for all that are planned."""
    return {trial_id: trial.name for trial_id, trial in planned(folder).items()}


def _varies(rows: list[dict[str, Any]], name: str) -> bool:
    return any(row[name] != rows[0][name] for row in rows)


def _trial(row: dict[str, Any], varying: list[str]) -> PlannedTrial:
    return PlannedTrial(
        trial_id=row["trial_id"],
        treatment_id=row["treatment_id"],
        repetition=row["repetition"],
        label=" ".join(f"{name}={canonical(row[name])}" for name in varying),
    )
