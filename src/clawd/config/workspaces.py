"""Whether each session has a folder of its own inside the home."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path as FilePath
from pathlib import PurePosixPath

from clawd.config.problem import Path
from clawd.config.session import SessionSettings
from clawd.config.structure import Finding

_DAEMONS = ("state", "config.json")
_LONGEST, _LONGEST_NAME = 1024, 255


def check_workspace(workspace: str, session_id: str, home: FilePath | None) -> Iterator[Finding]:
    """What is wrong with one session's workspace, in its writing and, with a home, on the disk."""
    at: Path = ("sessions", session_id, "workspace")
    use = f"Use workspaces/{session_id}"
    path = PurePosixPath(workspace)
    shown = ascii(workspace if len(workspace) <= 120 else workspace[:120] + "…")
    if len(workspace) > _LONGEST or any(
        len(part.encode(errors="replace")) > _LONGEST_NAME for part in path.parts
    ):
        yield Finding(at, "is longer than a file system takes", use)
    elif not workspace.isprintable() or "\\" in workspace:
        yield Finding(at, f"{shown} holds a backslash or a control character", use)
    elif workspace.startswith("~"):
        yield Finding(at, f"{shown} would need '~', which is not expanded here", use)
    elif ".." in path.parts:
        yield Finding(at, f"{shown} must not contain '..'", use)
    elif path.is_absolute() and not (
        home and path.is_relative_to(home) and path != PurePosixPath(home)
    ):
        yield Finding(at, f"{shown} is not inside the home folder", use)
    elif path == PurePosixPath():
        yield Finding(at, "is the home folder itself", use)
    elif (path.relative_to(home) if home and path.is_absolute() else path).parts[0] in _DAEMONS:
        yield Finding(at, f"{shown} belongs to the daemon", use)
    elif home is not None:
        yield from _on_disk(at, home / path, home)


def _on_disk(at: Path, folder: FilePath, home: FilePath) -> Iterator[Finding]:
    shown = ascii(str(folder))
    try:
        if not folder.resolve().is_relative_to(home.resolve()):
            target = ascii(str(folder.resolve()))
            yield Finding(at, f"{shown} leads out of the home folder, to {target}", "Use a folder")
            return
        existing = folder
        while not os.path.lexists(existing):
            existing = existing.parent
        if not existing.is_dir():
            yield Finding(at, f"{str(existing)!a} is not a folder", "Move it away")
        elif not os.access(existing, os.W_OK | os.X_OK):
            yield Finding(
                at,
                f"{str(existing)!a} is not writable",
                f"Run: chmod u+rwx {str(existing)!a}",
                "warning",
            )
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "its links go round in a circle"
        yield Finding(at, f"{shown} cannot be used ({reason})", "Use a folder inside home")


def workspaces_apart(
    sessions: Collection[SessionSettings], home: FilePath | None
) -> Iterator[Finding]:
    """Workspaces that are another's, inside one, or around one; links are followed."""
    owners: dict[PurePosixPath, str] = {}
    above: dict[PurePosixPath, str] = {}
    for session in sessions:
        written = PurePosixPath(session.workspace)
        try:
            path = PurePosixPath((home / written).resolve()) if home else written
        except (OSError, RuntimeError, ValueError):
            continue
        outer = next((owners[parent] for parent in path.parents if parent in owners), None)
        if path in owners:
            words = f"is also the workspace of session '{owners[path]}'"
        elif outer is not None:
            words = f"is inside the workspace of session '{outer}'"
        elif path in above:
            words = f"has the workspace of session '{above[path]}' inside it"
        else:
            owners[path] = session.id
            above |= dict.fromkeys(path.parents, session.id)
            continue
        yield Finding(
            ("sessions", session.id, "workspace"),
            f"{session.workspace!a} of session '{session.id}' {words}",
            f"Use workspaces/{session.id}",
        )
