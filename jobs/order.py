"""The order for one attempt at one trial: all that a node must know, and a file format for the trial's own process."""

from dataclasses import dataclass
from pathlib import Path

from jobs.order_file import OrderFile
from sipa.spec.model import CommandOutput, MeasurementSpec
from sipa.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOrder:
    """One attempt at one trial, addressed to a node.

    Attributes:
        sweep: name of the sweep.
        position: how many trials this node ran before in this sweep.
        site: testbed site; None without a lease.
        lease_id: None without a lease.
        source_folder: the sweep file's folder; commands run there.
        workspace: scratch folder of this attempt, on the results' file system.
        log: file that takes the standard output and error of the trial's process.
        cache: where scores of equal detections are kept.
        root: counters and host state are read below it; "/" but for rehearsals.
    """

    trial: Trial
    attempt: int
    sweep: str
    spec_hash: str
    session_id: str
    node: str
    planned_position: int
    position: int
    site: str | None
    lease_id: str | None
    measurement: MeasurementSpec
    output: CommandOutput
    source_folder: Path
    workspace: Path
    log: Path
    cache: Path
    root: Path

    @property
    def file(self) -> Path:
        """The order as the trial's own process reads it."""
        return self.workspace / "trial.json"

    @property
    def findings(self) -> Path:
        """What the trial's own process found, written by it at its end."""
        return self.workspace / "findings.json"

    @property
    def perf_stat(self) -> Path:
        """What `perf stat` printed, where the trial's own process runs under it."""
        return self.workspace / "perf-stat.csv"

    @property
    def predictions(self) -> Path:
        """Outputs per image, if the workload has any."""
        return self.workspace / "predictions.parquet"


TRIAL_ORDERS = OrderFile(TrialOrder, "trial order")
"""The files of trial orders."""
