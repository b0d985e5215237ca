"""How a server is started: its command line in the sandbox, or its address with its headers."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from clawd.config.filling import filled
from clawd.config.mcp import McpServer
from clawd.environment import child_environment
from clawd.errors import ClawdError, Invalid
from clawd.sandbox.command import environment, sandboxed
from clawd.sandbox.limits import Limits
from clawd.sandbox.view import View
from clawd.sandbox.workspace import workspace_view
from clawd.tools.mcp.problems import ServerProblem


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start, with the whole of its environment."""

    line: tuple[str, ...]
    folder: Path
    environment: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """A server that runs, and what is sent with each request."""

    url: str
    headers: dict[str, str] = field(repr=False)


def origin_of(settings: McpServer) -> str:
    """A digest of what the operator wrote to say which server this is."""
    written = (settings.command, settings.args, settings.url)
    return hashlib.sha256(msgspec.json.encode(written)).hexdigest()[:32]


def plan(
    settings: McpServer,
    workspace: Path,
    home: Path,
    environ: Mapping[str, str],
    others: Iterable[Path] = (),
) -> Command | Address:
    """What is to be done to have the server; BLOCKS. ``ServerProblem`` says what is missing.

    ``others`` are the workspaces of other sessions, which it must not see.
    """
    try:
        if settings.url is not None:
            return Address(settings.url, _values(settings.headers, environ, home, "header"))
        more = _values(settings.env, environ, home, "variable")
        line = [settings.command or "", *settings.args]
        if not settings.sandbox:
            folder = _folder(settings, workspace, confined=False)
            return Command(tuple(_dying(line)), folder, child_environment(environ) | more)
        folder = _folder(settings, workspace, confined=True)
        view = _view(settings, workspace, folder, home, others)
        inside = environment(environ, workspace.resolve(), more)
        return Command(tuple(sandboxed(line, view, Limits())), folder, inside)
    except ClawdError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise ServerProblem(f"{error.message}{hint}") from None


def _values(
    written: Mapping[str, object], environ: Mapping[str, str], home: Path, kind: str
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in written.items():
        try:
            text = filled(value, environ, home)  # type: ignore[arg-type]
        except Invalid as error:
            raise ServerProblem(f"{kind} {name} {error.message} ({error.hint})") from None
        if "\0" in text or (kind == "header" and not _is_field(text)):
            raise ServerProblem(f"{kind} {name} holds a character that none can have")
        found[name] = text
    return found


def _is_field(text: str) -> bool:
    return text.isascii() and (text.isprintable() or not text.strip())


def _folder(settings: McpServer, workspace: Path, *, confined: bool) -> Path:
    folder = (workspace / (settings.cwd or "")).resolve()
    if confined and not folder.is_relative_to(workspace.resolve()):
        raise ServerProblem(f"cwd {settings.cwd!a} leads out of the workspace")
    if not folder.is_dir():
        raise ServerProblem(f"cwd {str(folder)!a} is no folder")
    return folder


def _view(
    settings: McpServer, workspace: Path, folder: Path, home: Path, others: Iterable[Path]
) -> View:
    return workspace_view(
        workspace,
        home,
        others=others,
        network=settings.network,
        folder=folder,
        readable=[_given(path, home) for path in settings.readable],
        writable=[_given(path, home) for path in settings.writable],
    )


def _given(path: str, home: Path) -> Path:
    return (home / Path(path).expanduser()).resolve()


def _dying(line: list[str]) -> list[str]:
    """The command so that it ends with the daemon, where the system has a way to say so."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--", *line] if setpriv else line
