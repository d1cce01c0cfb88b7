"""The one exception tree. Every class has an exit code, a retry class and, in its text, a cure.

    SipaError                     1   a defect of sipa-cluster itself when nothing below fits
    ├── UsageError                2   a command that cannot be carried out as given
    │   ├── SpecError             2   sweep.toml: every problem at once, as file:line: path: what
    │   ├── ResultsError          2   a results folder that is missing, foreign or in use
    │   └── MissingExtraError     2   a package of an extra (node, cluster, chameleon) is not installed
    ├── LeaseError                3   reserving nodes failed
    ├── BootstrapError            4   a bare node did not become a ready node
    ├── HostError                 5   this host refuses to measure, with the cure
    │   ├── MeterError            5   an energy counter that is missing, unreadable or not to be trusted
    │   └── EnvironmentChanged    5   rows of another environment would be mixed in silently
    ├── TrialError                6   one attempt at one trial failed; the sweep goes on
    │   ├── WorkloadError         6   the workload said no: bad weights, bad data (never retried)
    │   ├── TrialCrash            6   the trial's process died (same node)
    │   ├── TrialTimeout          6   past its deadline, killed (same node)
    │   ├── TrialOutOfMemory      6   the kernel or the allocator refused memory (other node)
    │   ├── TrialOutputError      6   the workload's output is not what the spec declares (never retried)
    │   ├── GateTripped           6   the node was not quiet while it measured (same node)
    │   └── NodeLost              6   the node went away while it measured (other node)
    └── Interrupted             130   stopped at once by the user

Catch `SipaError` at the outermost layer only; `cluster.cli.main` turns it into a message and an exit code.
Exit 7 (trials remain: drained, stopped, too many failures) is the state of a sweep, not an exception.
"""

from enum import StrEnum
from typing import ClassVar


class Retry(StrEnum):
    """Where another attempt makes sense."""

    NEVER = "never"
    SAME_NODE = "same-node"
    OTHER_NODE = "other-node"


class SipaError(Exception):
    """Root of the tree: says what, where, why and the cure.

    Attributes:
        exit_code: what the command line returns.
        retry: where another attempt makes sense.
    """

    exit_code: ClassVar[int] = 1
    retry: ClassVar[Retry] = Retry.NEVER


class UsageError(SipaError):
    """A command that cannot be carried out as given."""

    exit_code = 2


class SpecError(UsageError):
    """A sweep file with problems: all of them, one a line, each with file and line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ResultsError(UsageError):
    """A results folder that is missing, foreign, unreadable or in use by another run."""


class MissingExtraError(UsageError):
    """A package that belongs to an extra is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install the extra: pip install 'sipa-cluster[{extra}]'"
        )


class LeaseError(SipaError):
    """Reserving nodes failed."""

    exit_code = 3


class BootstrapError(SipaError):
    """A bare node did not become a ready node."""

    exit_code = 4


class HostError(SipaError):
    """This host refuses to measure."""

    exit_code = 5


class MeterError(HostError):
    """An energy counter that is missing, unreadable or not to be trusted."""


class EnvironmentChanged(HostError):
    """Rows measured in another environment would be mixed in silently."""


class TrialError(SipaError):
    """One attempt at one trial failed; the sweep goes on."""

    exit_code = 6


class WorkloadError(TrialError):
    """The workload cannot run as asked: weights or data missing or damaged."""


class TrialCrash(TrialError):
    """The trial's process ended without a result."""

    retry = Retry.SAME_NODE


class TrialTimeout(TrialError):
    """The trial's process was killed past its deadline."""

    retry = Retry.SAME_NODE


class TrialOutOfMemory(TrialError):
    """The trial asked for more memory than the node has."""

    retry = Retry.OTHER_NODE


class TrialOutputError(TrialError):
    """The workload's output is not what the spec declares."""


class GateTripped(TrialError):
    """A quality gate tripped and the spec refuses such rows: the node was not quiet."""

    retry = Retry.SAME_NODE


class NodeLost(TrialError):
    """The node went away while it measured."""

    retry = Retry.OTHER_NODE


class Interrupted(SipaError):
    """Stopped at once by the user; finished trials are kept."""

    exit_code = 130


TRIAL_ERRORS: dict[str, type[TrialError]] = {
    kind.__name__: kind
    for kind in (
        WorkloadError,
        TrialCrash,
        TrialTimeout,
        TrialOutOfMemory,
        TrialOutputError,
        GateTripped,
        NodeLost,
    )
}
