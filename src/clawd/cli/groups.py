"""Command groups whose commands are imported only when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import click

from clawd.cli.invocation import Command
from clawd.nearest import nearest

Lazy = Mapping[str, tuple[str, str]]
"""A command's name → ``package.module:attribute`` and its line in the help."""


_ALIKE = 0.7
"""How much like a command a word must be to be a slip of the pen for it."""


class LazyGroup(Command, click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def __init__(self, *args: Any, lazy: Lazy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order of the table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        found = getattr(import_module(module), attribute)
        return cast(click.Command, found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the line names; an unknown one is answered with the nearest."""
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            near = nearest(args[0], self.lazy, cutoff=_ALIKE)
            guess = f" Did you mean {near!r}?" if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{guess}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands first: they are what a reader looks for."""
        self.format_commands(ctx, formatter)
        Command.format_options(self, ctx, formatter)


def group(name: str, line: str, lazy: Lazy, *examples: str) -> LazyGroup:
    """A group with this help line and these commands."""
    return LazyGroup(name, help=line, lazy=lazy, examples=examples, no_args_is_help=True)
