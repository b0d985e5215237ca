"""``clawd chat``: the chat, or one answer."""

from __future__ import annotations

import stat
import sys
from os import fstat
from typing import cast

import click

from clawd.cli.chat.one_answer import Form, answer
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.launch import ensure_running
from clawd.cli.nearest import session_named
from clawd.errors import Invalid


@command(
    "chat",
    "clawd chat -s researcher",
    'git diff | clawd chat -p "Review this change"',
)
@click.option("-s", "--session", metavar="SESSION", help="Which session; default if there is one.")
@click.option("-p", "--prompt", metavar="TEXT|-", help="One prompt, one answer; - reads stdin.")
@click.option("--new", is_flag=True, help="Begin another conversation.")
@click.option(
    "-c", "--continue", "go_on", is_flag=True, help="Go on with the present one (default)."
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "stream-json"]),
    help="With -p: the answer alone, one document, or the events one a line.",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="USD",
    help="With -p: the most that it and all it leads to may cost.",
)
@pass_invocation
def chat(
    invocation: Invocation,
    session: str | None = None,
    prompt: str | None = None,
    new: bool = False,
    go_on: bool = False,
    output: str | None = None,
    max_cost: float | None = None,
) -> int:
    """Talk to a session on the terminal, or get one answer with -p.

    With -p stdout holds the answer alone, and what is piped in is context for the prompt.
    """
    if new and go_on:
        raise Invalid("usage", "--new and -c exclude each other")
    interactive = prompt is None and sys.stdin.isatty() and sys.stdout.isatty()
    if interactive and (output or max_cost is not None):
        raise Invalid("usage", "--output and --max-cost go with -p")
    text = "" if interactive else whole_prompt(invocation, prompt)
    ensure_running(invocation.client, invocation.out)
    chosen = session_named(invocation.client, session)
    if interactive:
        # Only the interactive chat needs prompt_toolkit and rich.
        from clawd.cli.chat.app import talk

        return talk(invocation, chosen, new=new)
    form = cast(Form, output or ("json" if invocation.as_json else "text"))
    return answer(
        invocation.client,
        invocation.out,
        chosen["id"],
        text,
        new=new,
        form=form,
        max_cost=max_cost,
        limit=invocation.timeout,
    )


def whole_prompt(invocation: Invocation, prompt: str | None) -> str:
    """The prompt with what is piped in behind it, marked as such."""
    if prompt is None or prompt == "-":
        text = read_stdin(invocation)
    else:
        piped = read_stdin(invocation) if _is_piped() else ""
        text = f"{prompt}\n\nStandard input:\n{piped}" if piped.strip() else prompt
    if not text.strip():
        raise Invalid("empty_prompt", "the prompt is empty", hint='give one: clawd chat -p "..."')
    return text


def read_stdin(invocation: Invocation) -> str:
    """Standard input to its end, as text; what is not UTF-8 is replaced."""
    if sys.stdin.isatty():
        invocation.out.note("reading standard input; Ctrl+D ends it")
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _is_piped() -> bool:
    # A service or a test runner often leaves some character device there: that is no pipe.
    try:
        mode = fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
