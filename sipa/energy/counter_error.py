"""A counter that cannot be used: which file or event, why, and whether a total needs it.

A source is refused only for a counter that totals need; what else is broken is left out and named.
"""

from collections.abc import Iterable

from sipa.energy.readings import DomainKind
from sipa.errors import MeterError

_NAMED = 4


class CounterError(MeterError):
    """One counter that cannot be used.

    Args:
        path: its file or event.
        cause: what is wrong, with the cure.
        kind: what it counts.

    Attributes:
        needed: whether a total would miss it.
    """

    def __init__(self, path: str, cause: str, kind: DomainKind) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = path
        self.cause = cause
        self.needed = kind.counted


def by_cause(problems: Iterable[CounterError]) -> str:
    """One line a cause: four counters that lack the same permission need one cure."""
    paths: dict[str, list[str]] = {}
    for problem in problems:
        paths.setdefault(problem.cause, []).append(problem.path)
    return "\n".join(f"{_named(files)}: {cause}" for cause, files in paths.items())


def _named(files: list[str]) -> str:
    """Not all of them where there are many: a server of eight dies has sixteen counters, all in one place."""
    return ", ".join(files) if len(files) <= _NAMED else f"{files[0]} and {len(files) - 1} more"
