"""Where everything of a sweep lies. Nobody else formats these paths."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """The paths below `results/<sweep>/`."""

    path: Path

    @property
    def trials(self) -> Path:
        """One Parquet file a committed trial, and nothing else, ever."""
        return self.path / "trials"

    @property
    def superseded(self) -> Path:
        """Rows of an earlier spec that the present one does not plan."""
        return self.path / "superseded"

    @property
    def duplicates(self) -> Path:
        """Later attempts of trials that were already committed."""
        return self.path / "duplicates"

    @property
    def failures(self) -> Path:
        """One JSON file a failed attempt."""
        return self.path / "failures"

    @property
    def logs(self) -> Path:
        """What each attempt wrote to its standard output and error."""
        return self.path / "logs"

    @property
    def phases(self) -> Path:
        """Energy of every phase and domain, one file an attempt."""
        return self.path / "phases"

    @property
    def samples(self) -> Path:
        """Power trace of the inference window, one file an attempt that has one."""
        return self.path / "samples"

    @property
    def predictions(self) -> Path:
        """Outputs per image, one file a distinct output."""
        return self.path / "predictions"

    @property
    def controls(self) -> Path:
        """One JSON file, and a log, a run of the control workload."""
        return self.path / "controls"

    @property
    def environments(self) -> Path:
        """One JSON file a distinct fingerprint of a host."""
        return self.path / "environments"

    @property
    def specs(self) -> Path:
        """Every spec that was run."""
        return self.path / "spec"

    @property
    def staging(self) -> Path:
        """Unfinished files: on the same file system, so that a link makes them permanent."""
        return self.path / ".staging"

    @property
    def events(self) -> Path:
        """The history; losing it loses no result."""
        return self.path / "events.jsonl"

    @property
    def plan(self) -> Path:
        """The planned order."""
        return self.path / "plan.parquet"

    @property
    def columns(self) -> Path:
        """The contract, for people."""
        return self.path / "COLUMNS.md"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def lock(self) -> Path:
        """Held by the one process that runs this sweep."""
        return self.path / ".lock"

    def row(self, trial_id: str) -> Path:
        """The committed row of a trial."""
        return self.trials / f"{trial_id}.parquet"

    def log(self, trial_id: str, attempt: int) -> Path:
        """The log of an attempt."""
        return self.logs / f"{trial_id}.{attempt}.log"

    def failure(self, trial_id: str, attempt: int) -> Path:
        """The failure of an attempt."""
        return self.failures / f"{trial_id}.{attempt}.json"

    def control(self, session_id: str, node: str, sequence: int) -> Path:
        """One run of the control workload; its log has the suffix .log."""
        return self.controls / f"{session_id}.{node}.{sequence}.json"

    def workspace(self, trial_id: str, attempt: int) -> Path:
        """Scratch folder of an attempt; removed when it ended."""
        return self.staging / f"{trial_id}.{attempt}"
