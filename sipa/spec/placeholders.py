"""The `{name}` in a command: which there are, and what the command is when they are filled in.

Braces that are meant themselves are doubled, as in `str.format`; but of its language only plain names are understood,
so that filling in can neither fail nor reach into an object.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from string import Formatter

from sipa.spec.messages import show
from sipa.workloads import Value

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def names(template: str) -> frozenset[str]:
    """The names in a template.

    Raises:
        ValueError: a brace that is neither part of a name nor doubled; the message is a rule with its cure.
    """
    return frozenset(name for _, name in _pieces(template) if name)


def fill(template: str, parameters: Mapping[str, Value]) -> str:
    """A template with its names replaced by values as TOML writes them (`true`, `32`, `0.5`), texts as they are."""
    return "".join(literal + (_written(parameters[name]) if name else "") for literal, name in _pieces(template))


def arguments(template: str, parameters: Mapping[str, Value]) -> list[str]:
    """The argument list of a command: split as a shell splits, then filled in, so a value is never split.

    No shell sees the command: `|`, `>`, `$HOME` and `*` are ordinary text unless the command is `sh -c '...'`.

    Raises:
        ValueError: quotes that are not closed, or braces that are not names.
    """
    return [fill(word, parameters) for word in shlex.split(template)]


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError("has a single brace; write {{ or }} for one that is meant itself") from error
    for literal, name, form, conversion in pieces:
        if name is not None and (form or conversion or not _NAME.fullmatch(name)):
            raise ValueError(f"has braces round {show(name)}; write {{{{ and }}}} for braces that are meant themselves")
        yield literal, name


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
