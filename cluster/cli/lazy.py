"""A click group whose commands are imported when they are named, and which knows what was probably meant."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

Sections = Mapping[str, Mapping[str, str]]
"""Heading -> command -> the module that has it, as a function of the command's name."""


class LazyGroup(click.Group):
    """Commands in sections, in the order of the table.

    Args:
        sections: where each command lives.
    """

    def __init__(self, *args: Any, sections: Sections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self._homes = {name: home for section in sections.values() for name, home in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click asks so
        """Every command's name, in the order of the help."""
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of that name."""
        home = self._homes.get(cmd_name)
        if home is None:
            return None
        command: click.Command = getattr(import_module(home), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name.

        Raises:
            click.UsageError: there is none; says which was probably meant.
        """
        name = args[0]
        if name not in self._homes and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command: {name!r}.{did_you_mean(name, list(self._homes))}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section with its commands."""
        width = max(map(len, self._homes))
        for heading, names in self._sections.items():
            rows = [(name.ljust(width), self._short_help(ctx, name, formatter.width - width - 6)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def _short_help(self, ctx: click.Context, name: str, width: int) -> str:
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(width)


def did_you_mean(name: str, known: list[str]) -> str:
    """A sentence that names the nearest known name, with a space before it; empty when none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
