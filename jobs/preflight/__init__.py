"""Checks of a host before it measures: what was found, why it matters, and the command that cures it."""

from collections.abc import Sequence
from pathlib import Path

from jobs.fingerprint import fingerprint
from jobs.preflight.check import Check, CheckState
from jobs.preflight.company import company_checks
from jobs.preflight.energy import energy_checks
from jobs.preflight.processor import processor_checks
from jobs.preflight.sweeps import sweep_checks

__all__ = ["Check", "CheckState", "checks", "refused"]


def checks(root: Path = Path("/"), *, results: Path = Path(), lock: Path | None = None) -> tuple[Check, ...]:
    """Every check of a host.

    Args:
        root: where `sys`, `proc` and `dev` are.
        results: where results would be written.
        lock: the node's lock file; None: the system's.
    """
    facts = fingerprint(root)
    return (
        *energy_checks(root, facts),
        *processor_checks(root, facts),
        *company_checks(root, facts["cpus"]),
        *sweep_checks(root, results, lock),
    )


def refused(found: Sequence[Check]) -> bool:
    """Whether measured energy would be refused on this host."""
    return any(check.state is CheckState.FAIL for check in found)
