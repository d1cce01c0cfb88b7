"""One check of a host: what was found, why it matters, what to do."""

import re
from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """What a check says."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        found: the state of things.
        why: why it matters.
        cure: what to do; empty when there is nothing to do, or `commands` say it all.
        commands: what to type, in this order.
        group: checks of one group are shown together.
    """

    name: str
    state: CheckState
    found: str
    why: str
    cure: str = ""
    commands: tuple[str, ...] = ()
    group: str = "software"


_CURE = re.compile(r"Cure: |On bare metal: ")
_COMMAND = re.compile(
    r"(?P<before>.*?)(?P<commands>\b(sudo|echo|ulimit|pip) .*?)(?P<after>(; |, then |, or | or | \(|\. A ).*)?"
)


def cured(message: str) -> tuple[str, str, tuple[str, ...]]:
    """An error's message as what was found, what to do, and the commands in it.

    Args:
        message: as errors are worded here: `what, where, why. Cure: command && command, then words`.
    """
    found, *cures = _CURE.split(message, maxsplit=1)
    found, cure = found.strip().removesuffix("."), "".join(cures).strip()
    match = _COMMAND.fullmatch(cure)
    if match is None:
        return found, cure, ()
    after = match["after"] or ""
    # What follows a full stop is no cure: "A virtual machine has no such counter".
    after = "" if after.startswith(".") else after.strip(" ;,()").removeprefix("or ")
    return found, "; ".join(filter(None, (match["before"].strip(), after))), tuple(match["commands"].split(" && "))
