"""A command in the sandbox: what a session's commands, its skills' scripts and servers run as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from clawd.environment import child_environment
from clawd.errors import Refused
from clawd.sandbox.bubblewrap import arguments
from clawd.sandbox.limits import Limits, prelude
from clawd.sandbox.pids import counted_apart
from clawd.sandbox.probe import bubblewrap
from clawd.sandbox.system import system
from clawd.sandbox.view import View

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OPT_OUT = 'or set tools.execSandbox to "none": then commands are not confined at all'


def sandboxed(
    command: Sequence[str], view: View, limits: Limits | None = None, *, gate: str = ""
) -> list[str]:
    """The command line that runs ``command`` in the view, within the limits.

    Run it with ``environment(...)`` as the whole environment, from the main thread: bubblewrap
    ends with the thread that started it. ``gate`` is shell that runs before the command. Blocks
    for some milliseconds, the first time for longer; ``Refused`` when there is no bubblewrap that
    works, with what to do.
    """
    found = bubblewrap()
    if found.ability is None:
        raise Refused("no_sandbox", found.problem, hint=f"{found.mend}; {OPT_OUT}")
    line = limited(command, limits or Limits(), gate=gate, count_processes=counted_apart())
    return [found.program, *arguments(view, system(), line, ability=found.ability)[1:]]


def limited(
    command: Sequence[str], limits: Limits, *, gate: str = "", count_processes: bool = False
) -> list[str]:
    """The command behind its limits, for a shell of any kind; ``gate`` runs after them.

    ``count_processes`` only where the system counts those of this command alone.
    """
    stand_back = f"nice -n {limits.nice} " if limits.nice else ""
    first = prelude(limits, count_processes=count_processes)
    steps = [first, *([gate] if gate else []), f'exec {stand_back}"$@"']
    return ["/bin/sh", "-c", "\n".join(steps), "sh", *command]


def environment(
    environ: Mapping[str, str], workspace: Path, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of a sandboxed command: ordinary variables, none that is a secret.

    ``HOME`` is the workspace and ``PATH`` the system's: the user's own folders are not there.
    """
    passed = child_environment(environ)
    for name in ("TMPDIR", "SHELL"):
        passed.pop(name, None)
    return passed | {"HOME": str(workspace), "PATH": SYSTEM_PATH} | dict(more or {})
