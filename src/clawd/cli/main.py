"""The command ``clawd``: reads the line, runs the command, turns its end into an exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from clawd import __version__
from clawd.errors import ClawdError


def main(arguments: list[str] | None = None) -> int:
    """Run one command line (``sys.argv`` by default) and return its exit code."""
    line = sys.argv[1:] if arguments is None else arguments
    if line in (["--version"], ["-V"]):
        # Before anything is imported: scripts ask this often.
        print(f"clawd {__version__}")
        return 0
    signal.signal(signal.SIGTERM, _terminated)
    # What a command writes (a configuration, keys, what was said) is its user's alone.
    os.umask(0o077)
    return _run(line)


def _run(line: list[str]) -> int:
    # Imported here so that --version pays for none of it.
    import click

    from clawd.cli.clean import clean
    from clawd.cli.invocation import Invocation
    from clawd.cli.root import root

    invocation = Invocation()
    try:
        return int(root.main(line, "clawd", standalone_mode=False, obj=invocation) or 0)
    except ClawdError as problem:
        invocation.out.error(problem)
        return problem.exit_code
    except click.exceptions.NoArgsIsHelpError as problem:
        if not (invocation.as_json or "--json" in line):
            print(problem.message, file=sys.stderr)
            return 2
        invocation.as_json = True
        invocation.out.error(ClawdError("usage", "a command is missing", hint=_help(problem)))
        return 2
    except click.UsageError as problem:
        if invocation.as_json or "--json" in line:
            invocation.as_json = True
            invocation.out.error(ClawdError("usage", problem.format_message(), hint=_help(problem)))
        else:
            # What was typed stands in it, and may have been pasted from anywhere.
            click.UsageError(clean(problem.format_message()), problem.ctx).show()
        return 2
    except click.ClickException as problem:
        invocation.out.error(ClawdError("failed", problem.format_message()))
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader has gone (| head): what is left in the buffer must not complain on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as problem:  # the last resort: one sentence, the trace with -v
        if invocation.verbose:
            raise
        invocation.out.error(
            ClawdError(
                "unexpected",
                f"something unexpected happened: {type(problem).__name__}: {problem}",
                hint="the same command with -v shows where",
            )
        )
        return 1


def _help(problem: object) -> str:
    context = getattr(problem, "ctx", None)
    return f"run: {context.command_path} -h" if context is not None else "run: clawd -h"


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
