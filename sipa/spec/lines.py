"""On which line of a TOML text a path stands, found with nothing but `tomllib`.

`tomllib` gives values without positions. But a text cut after a line either parses or does not, and a line that ends
a statement is the first at which the statement parses alone. So ever longer prefixes, statement by statement, give
the first line of every key; inside a value of several lines, prefixes with their open brackets closed give the line
of every element. Nothing here looks for tables or strings itself, so nothing here is fooled by them.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TomlPath = tuple[str | int, ...]
"""Keys and indices from the root of a document: `("factors", "batch_size", 1)`."""

_DEPTH = 8
"""Deeper paths get the line of their eighth level: no sweep file is so deep, and dotted keys have no limit."""

_STATEMENT_START = re.compile(r"""\s*($|\#|\[|["'\w-][^=]*=)""")
_CLOSERS = ("]", "}", '"""', "'''")


@dataclass(frozen=True, slots=True)
class _Statement:
    """One key with its value, or one table header.

    Attributes:
        first: number of its first line, from 1.
        lines: its lines.
        value: what it says, parsed alone.
    """

    first: int
    lines: tuple[str, ...]
    value: dict[str, Any]

    @property
    def is_header(self) -> bool:
        return self.lines[0].lstrip().startswith("[")


class _Cuts:
    """A value of several lines, cut after each of them and closed so that it parses."""

    def __init__(self, statement: _Statement) -> None:
        self._statement = statement
        self._endings = _endings(statement.value)
        self._values: dict[int, dict[str, Any] | None] = {}

    def offset(self, path: TomlPath) -> int:
        """How many lines after the statement's first the path begins."""
        path = path[:_DEPTH]
        while not _exists(self._statement.value, path):
            path = path[:-1]
        low, high = 0, len(self._statement.lines) - 1
        while low < high:
            middle = (low + high) // 2
            if _exists(self._cut(middle), path):
                high = middle
            else:
                low = middle + 1
        return low

    def _cut(self, last: int) -> dict[str, Any] | None:
        """What the lines up to one say, its open brackets and strings closed."""
        if last not in self._values:
            text = "\n".join(self._statement.lines[: last + 1]) + "\n"
            self._values[last] = None
            for ending in self._endings:
                self._values[last] = _parsed(text + ending)
                if self._values[last] is not None:
                    # Most cuts of a value leave the same brackets open.
                    self._endings.remove(ending)
                    self._endings.insert(0, ending)
                    break
        return self._values[last]


class Lines:
    """The lines of one valid TOML text.

    Args:
        text: a text that `tomllib.loads` accepts.
    """

    def __init__(self, text: str) -> None:
        self._places: dict[TomlPath, tuple[_Statement, int]] = {}
        self._tables: dict[TomlPath, int] = {}
        self._cuts: dict[int, _Cuts] = {}
        context: TomlPath = ()
        for statement in _statements(text.replace("\r\n", "\n").split("\n")):
            if statement.is_header:
                context = self._enter(statement)
            else:
                for path in _keys(statement.value):
                    self._places.setdefault(context + path, (statement, len(context)))

    def line(self, path: TomlPath) -> int:
        """The line of a path, from 1; of its nearest parent where the path itself is not in the text.

        The line of a table is that of its header, the line of an element of an array is where it begins.
        """
        for length in range(len(path), 0, -1):
            if place := self._places.get(path[:length]):
                statement, skipped = place
                return statement.first + self._offset(statement, path[skipped:])
        return 1

    def _offset(self, statement: _Statement, path: TomlPath) -> int:
        if len(statement.lines) == 1 or statement.is_header:
            return 0
        if statement.first not in self._cuts:
            self._cuts[statement.first] = _Cuts(statement)
        return self._cuts[statement.first].offset(path)

    def _enter(self, statement: _Statement) -> TomlPath:
        """Note a table header; its path, with the index of each array of tables on the way."""
        keys, is_array = _header(statement.value)
        path: TomlPath = ()
        for position, key in enumerate(keys, start=1):
            path += (key,)
            last = position == len(keys)
            if last and is_array:
                self._places.setdefault(path, (statement, len(path)))
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path += (self._tables[path] - 1,)
            place = (statement, len(path))
            if last:
                self._places[path] = place
            else:
                self._places.setdefault(path, place)
        return path


def statement_begin(lines: list[str], number: int | None = None) -> int:
    """The line, from 1, on which the statement begins that a line lies in.

    Args:
        lines: a text that need not be valid; a statement without an end takes all the lines after it.
        number: the line, from 1; the last if not given.
    """
    start = stop = 0
    while stop < (number or len(lines)):
        start = stop
        stop, _ = _statement_end(lines, start, valid=False)
    return start + 1


def _statements(lines: list[str]) -> Iterator[_Statement]:
    """Cut a valid text into statements; blank lines and comments are left out."""
    start = 0
    while start < len(lines):
        stop, value = _statement_end(lines, start, valid=True)
        if value:
            yield _Statement(first=start + 1, lines=tuple(lines[start:stop]), value=value)
        start = stop


def _statement_end(lines: list[str], start: int, *, valid: bool) -> tuple[int, dict[str, Any] | None]:
    """The line after the statement that begins at `start`, and what the statement says; None if it has no end."""
    for stop in range(start + 1, len(lines) + 1):
        if _may_end(lines, start, stop, valid=valid):
            value = _parsed("\n".join(lines[start:stop]))
            if value is not None:
                return stop, value
    return len(lines), None


def _may_end(lines: list[str], start: int, stop: int, *, valid: bool) -> bool:
    """Whether it is worth parsing: necessary, not sufficient, and cheap for arrays of a thousand lines."""
    if stop == start + 1:
        return True
    closes = any(closer in lines[stop - 1] for closer in _CLOSERS)
    # In a valid text what follows a statement must look like another.
    return closes and (not valid or stop == len(lines) or _STATEMENT_START.match(lines[stop]) is not None)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _header(value: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The keys of a parsed header, and whether it is one of an array of tables."""
    keys: list[str] = []
    node: Any = value
    while isinstance(node, dict) and node:
        key, node = next(iter(node.items()))
        keys.append(key)
    return keys, isinstance(node, list)


def _keys(value: Mapping[str, Any], outer: TomlPath = ()) -> Iterator[TomlPath]:
    """Every path of keys; a dotted key and an inline table parse alike, and both are named here."""
    for key, child in value.items():
        path = (*outer, key)
        yield path
        if isinstance(child, dict) and len(path) < _DEPTH:
            yield from _keys(child, path)


def _exists(value: object, path: TomlPath) -> bool:
    node = value
    for key in path:
        match node:
            case dict() if key in node:
                node = node[key]
            case list() if isinstance(key, int) and key < len(node):
                node = node[key]
            case _:
                return False
    return True


def _endings(value: Mapping[str, Any]) -> list[str]:
    """What may close a cut value: the brackets of every chain of containers in it, with or without an open string."""
    brackets = {""}
    _collect(list(value.values()), "", brackets, in_table=True, depth=_DEPTH)
    ordered = sorted(brackets, key=len)
    return [quotes + closing for quotes in ("", '"""', "'''") for closing in ordered]


def _collect(children: list[Any], outer: str, into: set[str], *, in_table: bool, depth: int) -> None:
    """Add the brackets that close each container among the children, and all that close what is in it.

    A table in a table counts with and without its brace: if it is of a dotted key it has none.
    """
    for child in children if depth else ():
        if isinstance(child, list):
            into.add("]" + outer)
            _collect(child, "]" + outer, into, in_table=False, depth=depth - 1)
        elif isinstance(child, dict):
            for closing in {"}" + outer, outer} if in_table else {"}" + outer}:
                into.add(closing)
                _collect(list(child.values()), closing, into, in_table=True, depth=depth - 1)
