"""How a row becomes permanent, and how rows are read again. The existence of a trial's file is what "done" means.

A row is written aside, synced, and linked into `trials/`: the link fails if the file exists, so the first attempt wins
and a kill at any moment leaves either a whole row or none.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sipa.columns import Column
from sipa.control import ControlResult
from sipa.control import load as load_controls
from sipa.errors import ResultsError
from sipa.results.layout import SweepFolder
from sipa.results.schema import columns_markdown, from_table, to_table
from sipa.trial import Row, TrialFailure, TrialResult

if TYPE_CHECKING:
    import pandas as pd

PHASE_SCHEMA = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("begin_ns", pa.int64(), nullable=False),
        pa.field("end_ns", pa.int64(), nullable=False),
        pa.field("energy_j", pa.float64()),
        pa.field("quality", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
    ]
)

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("t_s", pa.float64(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("power_w", pa.float64()),
    ]
)
"""The power trace: mean power of a domain from the sample before it, or the window's begin, to `t_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What became of a row.

    Attributes:
        duplicate: the trial had a row already; this one lies in `duplicates/`.
        row: as it is read back: every column, values of the stored types.
    """

    duplicate: bool
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a changed spec moved."""

    superseded: tuple[str, ...]
    restored: tuple[str, ...]


class Store:
    """The results folder of one sweep, as its one writer sees it."""

    def __init__(self, path: Path, *, extra: Sequence[Column] = ()) -> None:
        self.folder = SweepFolder(path)
        self._extra = tuple(extra)

    def prepare(self, *, spec_hash: str, spec_text: str, plan: pa.Table) -> None:
        """Make the folders and keep the spec, the plan and the contract.

        Raises:
            ResultsError: the folder cannot be written.
        """
        folder = self.folder
        with writing(folder.path):
            for each in (folder.trials, folder.logs, folder.failures, folder.phases, folder.staging):
                each.mkdir(parents=True, exist_ok=True)
        self._write(folder.specs / f"{spec_hash}.toml", spec_text.encode())
        self._write(folder.columns, columns_markdown(self._extra).encode())
        self._write_table(folder.plan, plan)

    def commit(self, result: TrialResult) -> Commit:
        """Make a result permanent, the row last; a trial that has a row already goes to `duplicates/`."""
        table = to_table(result.row, self._extra)
        folder, name = self.folder, f"{result.trial_id}.{result.attempt}"
        self.keep_environment(result.row["environment_id"], result.environment)
        self._write_table(folder.phases / f"{name}.parquet", _long(result, result.phases, PHASE_SCHEMA))
        if result.samples:
            self._write_table(folder.samples / f"{name}.parquet", _long(result, result.samples, SAMPLE_SCHEMA))
        if result.predictions is not None:
            self._link(result.predictions, folder.predictions / f"{result.row['predictions_sha256']}.parquet")
        aside = self._aside(f"{name}.parquet")
        try:
            with writing(aside):
                pq.write_table(table, aside)
                _sync(aside)
            new = self._link(aside, folder.row(result.trial_id))
            if not new:
                self._link(aside, folder.duplicates / f"{name}.parquet")
        finally:
            aside.unlink(missing_ok=True)
        return Commit(duplicate=not new, row=from_table(table)[0])

    def keep_failure(self, failure: TrialFailure) -> Path:
        """Write what is known of a failed attempt."""
        path = self.folder.failure(failure.trial_id, failure.attempt)
        self._write(path, json.dumps(asdict(failure), indent=1, ensure_ascii=False).encode())
        return path

    def keep_environment(self, environment_id: str, environment: Mapping[str, Any]) -> None:
        """Write a host's fingerprint once."""
        path = self.folder.environments / f"{environment_id}.json"
        if not path.exists():
            self._write(path, json.dumps(environment, indent=1, sort_keys=True, ensure_ascii=False).encode())

    def committed(self) -> frozenset[str]:
        """Ids of the trials that have a row."""
        return frozenset(_stems(self.folder.trials, ".parquet"))

    def rows(self) -> list[Row]:
        """Every committed row.

        Raises:
            ResultsError: a file that is no row of ours.
        """
        return _rows(self.folder.trials)

    def superseded_rows(self) -> list[Row]:
        """Every row that was moved aside."""
        return _rows(self.folder.superseded)

    def failures(self) -> dict[str, list[TrialFailure]]:
        """Failed attempts by trial, in the order of attempts."""
        found: dict[str, list[TrialFailure]] = {}
        for path in sorted(self.folder.failures.glob("*.json"), key=lambda each: _attempt(each.stem)):
            with suppress(ValueError, TypeError):
                failure = TrialFailure(**json.loads(path.read_bytes()))
                found.setdefault(failure.trial_id, []).append(failure)
        return found

    def keep_control(self, control: ControlResult) -> Path:
        """Write one run of the control workload."""
        path = self.folder.control(control.session_id, control.node, control.sequence)
        self._write(path, json.dumps(asdict(control), indent=1, ensure_ascii=False, allow_nan=False).encode())
        return path

    def controls(self) -> list[ControlResult]:
        """Every run of the control workload, oldest first.

        Raises:
            ResultsError: a file that is none.
        """
        return load_controls(self.folder.controls) if self.folder.controls.is_dir() else []

    def environments(self) -> dict[str, dict[str, Any]]:
        """The fingerprints by id."""
        return {path.stem: json.loads(path.read_bytes()) for path in self.folder.environments.glob("*.json")}

    def attempts(self) -> dict[str, int]:
        """trial_id -> the highest attempt that left a trace."""
        folder, found = self.folder, dict[str, int]()
        for each, suffix in ((folder.failures, ".json"), (folder.logs, ".log"), (folder.phases, ".parquet")):
            for stem in _stems(each, suffix):
                trial_id = stem.partition(".")[0]
                found[trial_id] = max(found.get(trial_id, 0), _attempt(stem))
        return found

    def reconcile(self, planned: frozenset[str]) -> Reconciled:
        """Move rows that are not planned aside, and bring planned ones back that were moved earlier."""
        folder = self.folder
        leaving = sorted(self.committed() - planned)
        coming = sorted(frozenset(_stems(folder.superseded, ".parquet")) & planned - self.committed())
        for trial_id in leaving:
            folder.superseded.mkdir(exist_ok=True)
            folder.row(trial_id).replace(folder.superseded / f"{trial_id}.parquet")
        for trial_id in coming:
            (folder.superseded / f"{trial_id}.parquet").replace(folder.row(trial_id))
        if leaving or coming:
            _sync(folder.trials)
            _sync(folder.superseded)
        return Reconciled(superseded=tuple(leaving), restored=tuple(coming))

    def clear_staging(self) -> None:
        """Remove what a killed run left unfinished."""
        shutil.rmtree(self.folder.staging, ignore_errors=True)
        self.folder.staging.mkdir(parents=True, exist_ok=True)

    def _aside(self, name: str) -> Path:
        self.folder.staging.mkdir(parents=True, exist_ok=True)
        return self.folder.staging / f"{os.getpid()}-{name}"

    def _write(self, path: Path, content: bytes) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._aside(path.name)
            aside.write_bytes(content)
            aside.replace(path)

    def _write_table(self, path: Path, table: pa.Table) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._aside(path.name)
            pq.write_table(table, aside)
            aside.replace(path)

    @staticmethod
    def _link(source: Path, target: Path) -> bool:
        """Link `source` to `target` and sync the folder; False if the target exists."""
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            return False
        except OSError as error:
            raise ResultsError(
                f"{target}: cannot be linked: {error.strerror}. Rows are made permanent by hard links: "
                "keep results on a file system that has them (ext4, xfs, btrfs, NFS)."
            ) from error
        _sync(target.parent)
        return True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write into an error with the cure.

    Raises:
        ResultsError: the disk is full, or the folder is not writable.
    """
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be written: {error.strerror or error}. Free some space or choose another place with "
            "--results, and run again: the sweep goes on where it stopped."
        ) from error


def _long(result: TrialResult, rows: Iterable[Row], schema: pa.Schema) -> pa.Table:
    """Rows of a long form, each with the attempt that it belongs to."""
    named = [{**row, "trial_id": result.trial_id, "attempt": result.attempt} for row in rows]
    return pa.Table.from_pylist(named, schema=schema)


def _attempt(stem: str) -> int:
    attempt = stem.rpartition(".")[2]
    return int(attempt) if attempt.isdigit() else 0


def _stems(folder: Path, suffix: str) -> Iterator[str]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                yield entry.name.removesuffix(suffix)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rows(folder: Path) -> list[Row]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in read_rows(path)]


def read_rows(path: Path) -> list[Row]:
    """The rows of one file.

    Raises:
        ResultsError: not a Parquet file with rows of ours.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{path}: not a readable row: {error}. Move the file away and run again.") from error
    if "trial_id" not in table.column_names:
        raise ResultsError(f"{path}: has no column trial_id: not a row of sipa-cluster. Move the file away.")
    return from_table(table)


def load(*paths: str | Path) -> "pd.DataFrame":
    """The rows of one sweep or several as one frame.

    Args:
        paths: folders like "results/quickstart"; a folder of rows or a file from `export --parquet` does as well.

    Returns:
        One row a trial; a column that a sweep does not have is null there.

    Raises:
        ResultsError: a folder without rows.
    """
    frame: pd.DataFrame = table_of(*(Path(path) for path in paths)).to_pandas()
    return frame


def table_of(*paths: Path) -> pa.Table:
    """The rows of one sweep or several as one Arrow table; see `load`."""
    tables = [table for path in paths for table in _tables(path)]
    if not tables:
        raise ResultsError(
            f"{', '.join(map(str, paths))}: no rows there yet. Run the sweep first; if trials failed, "
            "sipa-cluster logs says why."
        )
    return pa.concat_tables(tables, promote_options="permissive")


def _tables(path: Path) -> Iterable[pa.Table]:
    if path.is_file():
        return [pq.read_table(path, partitioning=None)]
    folder = path / "trials" if (path / "trials").is_dir() else path
    if not folder.is_dir():
        raise ResultsError(f"{path}: no such results folder. Name one like results/quickstart.")
    return [pq.read_table(each, partitioning=None) for each in sorted(folder.glob("*.parquet"))]
