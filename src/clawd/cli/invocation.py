"""One run of a command: the options that hold everywhere, and what follows from them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clawd.cli.home import home_folder
from clawd.cli.output import Output
from clawd.errors import Invalid

if TYPE_CHECKING:
    from clawd.cli.client import Client


@dataclass
class Invocation:
    """The options of one run, filled in by click while it reads the line, then left alone."""

    home_option: str | None = None
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    plain: bool = False
    no_color: bool = False
    yes: bool = False
    timeout: float | None = None

    @cached_property
    def home(self) -> Path:
        """The home that applies to this run."""
        return home_folder(self.home_option)

    @cached_property
    def out(self) -> Output:
        """Where this run writes."""
        return Output(
            as_json=self.as_json,
            quiet=self.quiet,
            verbose=self.verbose,
            plain=self.plain,
            no_color=self.no_color,
        )

    @cached_property
    def client(self) -> Client:
        """The daemon of this home, whether or not it runs."""
        # Help is asked for more often than anything else, and needs no daemon.
        from clawd.cli.client import Client

        return Client(self.home, self.timeout)

    def report(self, document: dict[str, Any], text: str) -> None:
        """What a command did: the document with ``--json``, else a line."""
        if self.as_json:
            self.out.document(document)
        else:
            self.out.line(text)

    def confirm(self, question: str) -> None:
        """Go on only when the human agrees; without a terminal ``--yes`` is the only way."""
        if self.yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise Invalid("needs_yes", f"{question} needs a yes", hint="add --yes")
        if not click.confirm(question, err=True):
            raise click.Abort


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)

_EVERYWHERE: tuple[tuple[tuple[str, ...], str, dict[str, Any]], ...] = (
    (("--home",), "home_option", {"metavar": "DIR", "help": "The home folder."}),
    (("--json",), "as_json", {"is_flag": True, "help": "One JSON document on stdout."}),
    (("--plain",), "plain", {"is_flag": True, "help": "No colour, no drawing; one fact a line."}),
    (("--no-color",), "no_color", {"is_flag": True, "help": "No colour."}),
    (("-q", "--quiet"), "quiet", {"is_flag": True, "help": "Errors alone on stderr."}),
    (("-v", "--verbose"), "verbose", {"is_flag": True, "help": "More on stderr."}),
    (("-y", "--yes"), "yes", {"is_flag": True, "help": "Ask nothing."}),
    (
        ("--timeout",),
        "timeout",
        {
            "type": click.FloatRange(min=0, min_open=True),
            "metavar": "S",
            "help": "Seconds to wait.",
        },
    ),
)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value and option.name is not None:
        setattr(context.ensure_object(Invocation), option.name.removeprefix("every_"), value)


class _Everywhere(click.Option):
    """An option that holds for every command, before its name or after it."""


def _everywhere() -> list[click.Parameter]:
    return [
        _Everywhere(
            [*names, f"every_{field}"],
            expose_value=False,
            default=None,
            callback=_remember,
            **settings,
        )
        for names, field, settings in _EVERYWHERE
    ]


class Command(click.Command):
    """A command with the options that hold everywhere and its examples at the end of its help."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_everywhere())
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options first, then those that hold everywhere."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        _write_examples(self.examples, formatter)


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            (shared if isinstance(parameter, _Everywhere) else own).append(record)
    for title, records in (("Options", own), ("Everywhere", shared)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _write_examples(examples: tuple[str, ...], formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


Function = TypeVar("Function", bound=Callable[..., Any])


def command(
    name: str, *examples: str, cls: type[Command] = Command, **settings: Any
) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command, with the examples that its help ends with."""

    def make(function: Callable[..., Any]) -> Command:
        return click.command(name, cls=cls, examples=examples, **settings)(function)

    return make
