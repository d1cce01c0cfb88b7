"""What a user should know of a sweep file before it runs, though it is no error."""

import shlex
from typing import TYPE_CHECKING

from cluster.cli.output import say

if TYPE_CHECKING:
    from sipa.spec.model import SweepSpec


def say_remarks(spec: "SweepSpec") -> None:
    """Say on standard error which files may change unnoticed."""
    from jobs.command import unwatched_files

    files = unwatched_files(spec)
    if files:
        listed = ", ".join(f'"{name}"' for name in files)
        say(
            f"note: {spec.source}: the command names {shlex.join(files)}, which workload.inputs does not: a change "
            f"there goes unnoticed and finished trials stay. Write inputs = [{listed}]"
        )
