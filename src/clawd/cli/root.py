"""The root of the command tree: names and one line each; nothing here imports a command."""

from __future__ import annotations

import sys

import click

from clawd import __version__
from clawd.cli.groups import Lazy, LazyGroup
from clawd.cli.invocation import Invocation, pass_invocation

_AT = "clawd.cli.commands."

COMMANDS: Lazy = {
    "init": (_AT + "init:init", "Write a configuration and example workspaces."),
    "chat": (_AT + "chat:chat", "Talk to a session, or get one answer with -p."),
    "demo": (_AT + "demo:demo", "See it all work, offline, in a temporary home."),
    "send": (_AT + "send:send", "Send a message to a session."),
    "sessions": (_AT + "sessions:sessions", "List, show, create and change sessions."),
    "messages": (_AT + "messages:messages", "Read mailboxes with their true states."),
    "tasks": (_AT + "tasks:tasks", "Delegate, watch and end tasks."),
    "approvals": (_AT + "approvals:approvals", "See and settle what waits for you."),
    "schedules": (_AT + "schedules:schedules", "See, make and change schedules of sessions."),
    "explain": (_AT + "explain:explain", "Say what one session may do to another, and why."),
    "start": (_AT + "daemon:start", "Start the daemon in the background."),
    "stop": (_AT + "daemon:stop", "Stop the daemon."),
    "restart": (_AT + "daemon:restart", "Stop the daemon and start it again."),
    "status": (_AT + "daemon:status", "Say how the daemon is."),
    "pause": (_AT + "pause:pause", "Stop all model calls, or one session's, until resume."),
    "resume": (_AT + "pause:resume", "Go on where pause stopped."),
    "trace": (_AT + "trace:trace", "Draw what one cause led to, across sessions."),
    "usage": (_AT + "usage:usage", "Say what model calls used and cost."),
    "logs": (_AT + "logs:logs", "Show the log of the daemon or of a session."),
    "events": (_AT + "events:events", "Show what happens, as it happens."),
    "daemon": (_AT + "daemon:daemon", "Run the daemon in the foreground, or as a service."),
    "config": (_AT + "config:config", "Check and show the configuration."),
    "providers": (_AT + "providers:providers", "List, test, confirm and detect model providers."),
    "keys": (_AT + "keys:keys", "Make keys for content that is sealed at rest."),
    "memory": (_AT + "memory:memory", "Search what a session has noted."),
    "tools": (_AT + "tools:tools", "List, show and call a session's tools."),
    "skills": (_AT + "skills:skills", "List and show the skills of a session."),
    "mcp": (_AT + "mcp:mcp", "List, show, approve and restart MCP servers."),
    "doctor": (_AT + "doctor:doctor", "Check the installation and say how to mend it."),
    "fsck": (_AT + "fsck:fsck", "Verify every log of the home, and mend it."),
    "completions": (_AT + "completions:completions", "Print or install shell completion."),
    "version": (_AT + "version:version", "Say which version this is."),
}


@click.command(
    "clawd",
    cls=LazyGroup,
    lazy=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=("clawd init && clawd chat", 'clawd chat -p "What can you do?"'),
)
@click.version_option(
    __version__, "-V", "--version", prog_name="clawd", message="%(prog)s %(version)s"
)
@click.pass_context
@pass_invocation
def root(invocation: Invocation, context: click.Context) -> None:
    """A daemon of agent sessions that talk to you and to each other.

    Without a command: the chat.
    """
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(context.get_help(), err=True)
        context.exit(2)
    command = root.get_command(context, "chat")
    if command is not None:
        context.invoke(command)
