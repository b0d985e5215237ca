"""How a command is started: in the sandbox, or as the daemon's user without one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clawd.config.session import ToolSettings
from clawd.environment import child_environment
from clawd.errors import Invalid, Refused
from clawd.sandbox.command import environment, limited, sandboxed
from clawd.sandbox.limits import Limits
from clawd.sandbox.workspace import workspace_view

MOST_COMMAND_BYTES = 128 * 1024 - 1
"""What Linux takes as one argument."""
NICE = 10
GATE = "printf . >&0; read -r go || exit 126; exec </dev/null"
"""Says that it is there, and goes on when it hears so: the sandbox ends with the daemon by then.

A daemon that dies before leaves an end of file, and the command does not begin.
"""
MARK = "CLAWD_EXEC"


@dataclass(frozen=True, slots=True)
class Launch:
    """One command, ready to start."""

    id: str
    line: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    seconds: float
    limits: Limits
    confined: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session asked for."""

    id: str
    command: str
    seconds: float
    network: bool = False
    folder: str | None = None
    identity: tuple[str, ...] = ()
    """The identity files that it may write."""


def prepare(
    wish: Wish, tools: ToolSettings, workspace: Path, home: Path, others: Iterable[Path]
) -> Launch:
    """Check a wish and make it a command line; blocks. ``Invalid`` or ``Refused`` with the mend."""
    _check(wish, tools)
    folder = _folder(workspace, wish.folder)
    limits = Limits(memory_mib=tools.exec_memory_mib, nice=NICE)
    shell = [shutil.which("bash") or "/bin/sh", "-c", wish.command]
    if tools.exec_sandbox == "none":
        line = limited(shell, limits, gate=GATE)
        if setpriv := shutil.which("setpriv"):
            line = [setpriv, "--pdeathsig", "KILL", "--", *line]
        environ = child_environment(os.environ) | {"HOME": str(workspace), MARK: wish.id}
    else:
        view = workspace_view(
            workspace,
            home,
            others=others,
            identity=wish.identity,
            network=wish.network,
            folder=folder,
            # What the operator has put there is for every session, scripts too.
            readable=(home.resolve() / "skills",),
        )
        line = sandboxed(shell, view, limits, gate=GATE)
        environ = environment(os.environ, workspace.resolve())
    confined = tools.exec_sandbox != "none"
    return Launch(wish.id, tuple(line), environ, folder, wish.seconds, limits, confined)


def _check(wish: Wish, tools: ToolSettings) -> None:
    if not wish.command.strip():
        raise Invalid("empty_command", "the command is empty", hint="such as: ls -l")
    if "\0" in wish.command:
        raise Invalid("nul_in_command", "a command cannot have a NUL", hint="leave it out")
    size = len(wish.command.encode(errors="replace"))
    if size > MOST_COMMAND_BYTES:
        raise Invalid(
            "command_too_long",
            f"the command has {size} bytes, and the system takes {MOST_COMMAND_BYTES}",
            hint="write it to a file, and run that",
        )
    if not 0 < wish.seconds <= tools.exec_seconds:
        raise Invalid(
            "timeout_out_of_range",
            f"timeout_seconds must be above 0 and at most {tools.exec_seconds:g}",
            hint="the operator sets the longest time in tools.execSeconds",
        )
    if wish.network and not tools.exec_network and tools.exec_sandbox != "none":
        raise Refused(
            "network_not_allowed",
            "commands of this session have no network",
            hint="do without, or ask the operator to set tools.execNetwork",
        )


def _folder(workspace: Path, name: str | None) -> Path:
    root = workspace.resolve()
    if name is None:
        return root
    if "\0" in name:
        raise Invalid("invalid_cwd", "a path cannot have a NUL", hint="leave it out")
    try:
        folder = (root / name).resolve(strict=True)
    except (OSError, RuntimeError) as failure:
        raise Invalid(
            "invalid_cwd", f"{name}: there is no such folder", hint="leave cwd out, or make it"
        ) from failure
    if not folder.is_dir() or not folder.is_relative_to(root):
        raise Invalid(
            "invalid_cwd",
            f"{name} is no folder of the workspace",
            hint="give a folder relative to the workspace; a command can go elsewhere by itself",
        )
    return folder
