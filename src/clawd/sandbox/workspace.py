"""The view that a session's commands have: its workspace, without what is the daemon's in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from clawd.errors import Refused, StorageError
from clawd.sandbox.view import View
from clawd.storage.failures import storage_error
from clawd.storage.files import make_private_folder
from clawd.storage.workspace import DAEMONS_FOLDERS, IDENTITY_FILES, NOTES, is_daemons_name

LOGS = ("session_messages.jsonl", "history.jsonl", "schedules.jsonl")
"""Files that the daemon alone writes, and that no command may make in its place."""
_MOST_NOTES = 1000


def workspace_view(
    workspace: Path,
    home: Path,
    *,
    others: Iterable[Path] = (),
    identity: Collection[str] = (),
    network: bool = False,
    folder: Path | None = None,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
) -> View:
    """What a session's command sees; call it for each command anew, it blocks.

    ``home`` is clawd's and ``others`` are the workspaces of other sessions: both are hidden.
    ``identity`` names the identity files that the session may write. The other ones, and what is
    the daemon's, are read-only; those that are missing are made, empty, since what is not there
    could be made by the command. ``Refused`` when one of them is a link, or the workspace is no
    place for commands; ``StorageError`` when the disk is full.
    """
    real, home = workspace.resolve(), home.resolve()
    if home == real or real.is_relative_to(home / "state"):
        raise Refused(
            "workspace_is_home",
            f"no commands can run in {real}: clawd keeps its own files there",
            hint="give the session a workspace of its own",
        )
    elsewhere = {other.resolve() for other in others} - {real}
    return View(
        real,
        hidden=(home, *sorted(elsewhere)),
        readable=(*protected(real, identity), *readable),
        writable=tuple(writable),
        network=network,
        folder=folder,
    )


def protected(workspace: Path, identity: Collection[str] = ()) -> tuple[Path, ...]:
    """The files and folders at its top that no command may change; missing ones are made."""
    folders = [workspace / name for name in DAEMONS_FOLDERS]
    files = [workspace / name for name in LOGS]
    files += [workspace / name for name in IDENTITY_FILES if name not in identity]
    for path in (*folders, *files):
        _check_no_link(path)
    furnish(workspace)
    named = {*folders, *files}
    return tuple(sorted(named | set(_others(workspace, named))))


def furnish(workspace: Path) -> None:
    """Make what is missing of the daemon's files and folders, and of the identity; blocks."""
    for folder in DAEMONS_FOLDERS:
        make_private_folder(workspace / folder)
    for name in (*LOGS, *IDENTITY_FILES):
        _make(workspace / name)


def _others(workspace: Path, named: Collection[Path]) -> Iterator[Path]:
    """What more of the daemon's there is: copies of damaged lines, marks, the index of notes."""
    for entry in os.scandir(workspace):
        path = Path(entry.path)
        if path not in named and is_daemons_name(entry.name) and not entry.is_symlink():
            yield path
    notes = workspace / NOTES
    if notes.is_symlink() or not notes.is_dir():
        return
    with os.scandir(notes) as entries:
        for _, entry in zip(range(_MOST_NOTES), entries, strict=False):
            if entry.is_file(follow_symlinks=False) and not entry.name.lower().endswith(".md"):
                yield Path(entry.path)


def _check_no_link(path: Path) -> None:
    # A mount goes where a link leads: the link itself could be exchanged.
    if path.is_symlink():
        raise Refused(
            "protected_link",
            f"{path.name} is a link, which a command could put something else in place of",
            hint="put what it leads to in its place; or allow the session to write it"
            " (tools.identity)",
        )


def _make(path: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        if not path.is_symlink() and not path.is_file():
            raise StorageError(
                "storage_error", f"{path}: is not a regular file", hint="move it away"
            ) from None
    except OSError as failure:
        raise storage_error(path, failure) from failure
