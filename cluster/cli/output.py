"""Standard output: plain tables for people and pipes, JSON lines for programs. Nothing here is talk."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

import click

_GAP = "  "

_LEAST = 20
"""Narrower than this no prose is folded, whatever the terminal."""


def write_json(value: object) -> None:
    """One JSON value on one line."""
    click.echo(json.dumps(value, allow_nan=False))


def write_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[bool] = ()) -> None:
    """An aligned table; on a terminal as wide as it, elsewhere as wide as its cells.

    Args:
        headings: of the columns.
        rows: cells as text.
        numeric: whether a column is aligned to the right; none is if not given.
    """
    click.echo(table_text(headings, rows, numeric=numeric, width=_width()))


def table_text(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Sequence[bool] = (),
    width: int | None = None,
) -> str:
    """The table as text, without blanks at the ends of lines.

    Args:
        headings: of the columns.
        rows: cells as text.
        numeric: whether a column is aligned to the right; none is if not given.
        width: cells are folded where the table would be wider; None never folds.
    """
    lines = [tuple(headings), *map(tuple, rows)]
    right = tuple(numeric) or (False,) * len(headings)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        return _folded(lines, right, width)
    return "\n".join(_GAP.join(map(_cell, line, widths, right)).rstrip() for line in lines)


def _cell(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _folded(lines: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading, right in zip(lines[0], numeric, strict=True):
        table.add_column(Text(heading), justify="right" if right else "left", overflow="fold")
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    terminal = Console(width=width, no_color=True, color_system=None, force_terminal=False)
    with terminal.capture() as captured:
        terminal.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def folded(label: str, text: str, width: int) -> list[str]:
    """Prose behind a label, folded so that it stays in its column; words are never cut, because paths are pasted."""
    import textwrap

    return textwrap.wrap(
        text,
        width=max(width, len(label) + _LEAST),
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [label.rstrip()]


def silence(stream: TextIO) -> None:
    """Nobody reads any more: keep the interpreter from complaining about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str) -> None:
    """Talk, on standard error."""
    click.echo(text, err=True)


def _width() -> int | None:
    return (os.get_terminal_size(sys.stdout.fileno()).columns or None) if sys.stdout.isatty() else None
