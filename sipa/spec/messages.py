"""Problems of a sweep file as sentences: what is wrong, where, what stood there and what was probably meant.

Every problem is one line of printable text, whatever the file holds: values are shown short and escaped.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time

from sipa.spec.lines import Lines, TomlPath
from sipa.trial import canonical

_SHOWN = 48
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where; of what is missing, where it should stand.
        text: what and the cure.
        see: another place that the reader must look at.
    """

    path: TomlPath
    text: str
    see: TomlPath | None = None


class Problems:
    """Everything that is wrong with a file, as it is found."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, path: TomlPath, text: str, see: TomlPath | None = None) -> None:
        """Note one problem."""
        self._found.append(Problem(path=path, text=text, see=see))

    def sentences(self, text: str, source: str) -> list[str]:
        """All of them as `file:line: path: what`, in the order of the lines, none twice."""
        lines = Lines(text)
        numbered = sorted(((lines.line(each.path), each) for each in self._found), key=lambda pair: pair[0])
        return list(dict.fromkeys(_sentence(source, line, each, lines) for line, each in numbered))


def _sentence(source: str, line: int, problem: Problem, lines: Lines) -> str:
    where = f"{show_path(problem.path)}: " if problem.path else ""
    see = f" (see line {lines.line(problem.see)})" if problem.see else ""
    return f"{source}:{line}: {where}{problem.text}{see}"


def show_path(path: TomlPath) -> str:
    """A path as people write it: `factors.batch_size[1]`."""
    shown = ""
    for key in path:
        if isinstance(key, int):
            shown += f"[{key}]"
        else:
            shown += ("." if shown else "") + show_key(key)
    return shown


def show_key(key: str) -> str:
    """A key as TOML has it: in quotes where it is not a bare one."""
    return key if _BARE_KEY.fullmatch(key) and len(key) <= _SHOWN else show(key)


def show(value: object) -> str:
    """A TOML value on one short line."""
    match value:
        case bool():
            shown = "true" if value else "false"
        case int():
            # Python refuses to write out integers of more than 4300 digits.
            shown = str(value) if value.bit_length() <= 128 else f"an integer of {value.bit_length()} bits"
        case str():
            shown = repr(value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…")
        case list():
            shown = "a list"
        case dict():
            shown = "a table"
        case datetime() | date() | time():
            shown = f"the date or time {value}"
        case _:
            shown = str(canonical(value)) if isinstance(value, float) else str(value)
    return shown


def got(value: object) -> str:
    """What stood there, to be put at the end of a sentence."""
    return f" (got {show(value)})"


def no_table(value: object, path: TomlPath) -> str:
    """The problem of something that should be a table."""
    name = show_path(path)
    if isinstance(value, list):
        return f"must be one table: write [{name}], not [[{name}]]"
    return "must be a table" + got(value)


def one_of(choices: Iterable[str]) -> str:
    """The rule of a closed set: `must be 'a', 'b' or 'c'`."""
    *most, last = [f"'{choice}'" for choice in choices]
    return f"must be {', '.join(most)} or {last}" if most else f"must be {last}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A sentence that names the known word that is nearest, or nothing."""
    if not isinstance(word, str):
        return ""
    nearest = difflib.get_close_matches(word[:200].lower(), sorted(known), n=1, cutoff=0.58)
    return f". Did you mean '{nearest[0]}'?" if nearest else ""


def unknown(key: str, known: Iterable[str], elsewhere: str = "") -> str:
    """The problem of a key that means nothing where it stands.

    Args:
        key: the key.
        known: the keys that mean something there.
        elsewhere: where the key does mean something: "[design]".
    """
    if elsewhere:
        return f"unknown key here. It belongs in {elsewhere}"
    return "unknown key" + did_you_mean(key, known)


def bound(value: float, *, minimum: float | None, maximum: float | None, whole: bool) -> str | None:
    """The rule that a number breaks, or None. Bounds are inclusive."""
    if minimum is not None and value < minimum:
        # "at least 1" and "greater than 0" are the same for integers; the second also says what 0.5 of them is not.
        return "must be greater than 0" if whole and minimum == 1 else f"must be at least {minimum:g}"
    if maximum is not None and value > maximum:
        return f"must be at most {maximum:.16g}"
    return None
