"""Bytes -> text -> TOML, with the line of every mistake of the syntax.

`tomllib` stops at the first mistake. Where the text before a bad line is whole, that line alone is left out and the
rest is read on, so that several mistakes are told at once; inside an unfinished value nothing can be told apart.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipa.errors import SpecError
from sipa.spec.lines import statement_begin

MAX_BYTES = 1 << 20
"""Larger files are not sweep files but something else that was named by mistake."""

_MAX_MISTAKES = 20
_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_HINTS = {
    "Invalid value": "texts stand in quotes; true and false in small letters; numbers without a unit",
    "Cannot overwrite a value": "the key or table stands twice",
    "Invalid statement": "a line is key = value, [table] or # comment",
    "Expected '=' after a key in a key/value pair": "a line is key = value, [table] or # comment",
    "Expected newline or end of document after a statement": "one key = value a line, or a quote too many",
    "Unclosed array": "a ] or a comma is missing",
    "Unclosed inline table": "a } or a comma is missing",
}


def read_text(source: str | Path) -> str:
    """The text of a sweep file; a byte order mark, which some editors write, is no part of it.

    Raises:
        SpecError: no such file, not readable, too large, or not UTF-8.
    """
    path = Path(source)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SpecError([f"{source}: no such file. `sipa-cluster init` writes one"]) from error
    except IsADirectoryError as error:
        raise SpecError([f"{source}: is a folder; give the sweep file in it"]) from error
    except (OSError, ValueError) as error:
        raise SpecError([f"{source}: cannot be read: {error}"]) from error
    if len(content) > MAX_BYTES:
        raise SpecError([f"{source}:1: is larger than {MAX_BYTES} bytes; that is no sweep file"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        cure = "save the file as UTF-8"
        raise SpecError([f"{source}:{line}: is not UTF-8 text (byte 0x{byte:02x}); {cure}"]) from error


def parse(text: str, source: str) -> dict[str, Any]:
    """The TOML of a text.

    Raises:
        SpecError: the mistakes of the syntax, each with its line.
    """
    _check_characters(text, source)
    lines = text.replace("\r\n", "\n").split("\n")
    mistakes: list[str] = []
    while len(mistakes) < _MAX_MISTAKES:
        try:
            data = tomllib.loads("\n".join(lines))
        except (ValueError, RecursionError) as error:
            mistake = _mistake(lines, error)
            mistakes.append(f"{source}:{mistake.line}: not TOML: {mistake.text}")
            if not mistake.alone:
                break
            lines[mistake.line - 1] = ""
        else:
            if not mistakes:
                return data
            break
    raise SpecError(mistakes)


@dataclass(frozen=True, slots=True)
class _Mistake:
    """One mistake of the syntax.

    Attributes:
        alone: whether the text makes sense without its line. It does not if the line lies inside a value that begins
            before or goes on after it, nor without the header of a table: the keys that follow would be in another.
    """

    line: int
    text: str
    alone: bool = False


def _check_characters(text: str, source: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise SpecError([f"{source}:{line}: is not Unicode text (half of a surrogate pair)"]) from error


def _mistake(lines: list[str], error: Exception) -> _Mistake:
    """Line and sentence of what `tomllib` says."""
    if isinstance(error, RecursionError):
        return _Mistake(statement_begin(lines), "brackets are nested too deep")
    if not isinstance(error, tomllib.TOMLDecodeError):
        return _Mistake(statement_begin(lines), "a number has too many digits")
    said = str(error)
    position = _POSITION.search(said)
    what = " ".join(said[: position.start()].split()) if position else said
    hint = f": {_HINTS[what]}" if what in _HINTS else ""
    if position is None or position[1] is None:
        return _Mistake(statement_begin(lines), f"{what} (begins here and is never finished){hint}")
    line = int(position[1])
    begin = statement_begin(lines[:line])
    where = f"column {position[2]}" if begin == line else f"column {position[2]}; the value begins at line {begin}"
    bad = lines[line - 1].lstrip()
    return _Mistake(line, f"{what} ({where}){hint}", alone=begin == line and bad != "" and not bad.startswith("["))
