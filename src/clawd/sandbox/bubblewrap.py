"""bubblewrap's arguments for a view, as pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clawd.sandbox.system import System
from clawd.sandbox.view import View

PROGRAM = "bwrap"
Kind = Literal["open", "hide", "show"]
Form = Literal["folder", "file", "missing"]

_OPTION = {"open": "--bind-try", "show": "--ro-bind-try"}
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ability:
    """Which of bubblewrap's options can be used on this machine."""

    sizes: bool = True
    """Whether a private folder can have a bound on its size: bubblewrap 0.7."""
    seals: bool = True
    """Whether a command can be kept from user namespaces of its own: bubblewrap 0.8."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One path of the machine, and what the command has there."""

    kind: Kind
    path: Path


def mounts(view: View, system: System) -> list[Mount]:
    """What is put where, a folder before what lies in it; hidden is what would be seen."""
    kinds: dict[Path, Kind] = {}
    kinds |= dict.fromkeys(system.folders, "show")
    kinds |= dict.fromkeys(system.secrets, "hide")
    if view.network and system.resolver:
        kinds[system.resolver] = "show"
    kinds |= dict.fromkeys((view.workspace, *view.writable), "open")
    kinds |= dict.fromkeys(view.hidden, "hide")
    kinds |= dict.fromkeys(view.readable, "show")
    placed: dict[Path, Kind] = {}
    for path in sorted(kinds, key=lambda path: (len(path.parts), path)):
        around = next((placed[parent] for parent in path.parents if parent in placed), "hide")
        if (kinds[path], around) != ("hide", "hide"):
            placed[path] = kinds[path]
    return [Mount(kind, path) for path, kind in placed.items()]


def form(path: Path) -> Form:
    """What stands at a path."""
    if path.is_dir():
        return "folder"
    return "file" if path.exists() else "missing"


def arguments(
    view: View,
    system: System,
    command: Sequence[str],
    *,
    ability: Ability,
    look: Callable[[Path], Form] = form,
) -> list[str]:
    """The whole command line: bubblewrap, the view, and the command in it.

    The environment is that of the process: nothing of it is here, where other users can read it.
    The namespaces end with bubblewrap, and that with the thread that started it.
    """
    size = ["--size", str(view.scratch_mib * _MIB)] if ability.sizes else []
    user = ["--unshare-user", "--disable-userns"] if ability.seals else ["--unshare-user-try"]
    line = [PROGRAM, *user, "--unshare-ipc", "--unshare-pid", "--unshare-uts"]
    line += ["--unshare-cgroup-try", *([] if view.network else ["--unshare-net"])]
    line += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    line += ["--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/dev/shm"]  # noqa: S108
    line += [*size, "--tmpfs", "/tmp", "--symlink", "/tmp", "/var/tmp", "--dir", "/run"]  # noqa: S108
    for target, path in system.links:
        line += ["--symlink", target, str(path)]
    emptied: list[str] = []
    for mount in mounts(view, system):
        name = str(mount.path)
        if mount.kind != "hide":
            line += [_OPTION[mount.kind], name, name]
        elif (found := look(mount.path)) == "folder":
            line += ["--tmpfs", name]
            emptied.append(name)
        elif found == "file":
            line += ["--ro-bind", "/dev/null", name]
    # Last: what lies in these has been put there.
    for name in (*emptied, "/dev", "/proc", "/"):
        line += ["--remount-ro", name]
    return [*line, "--chdir", str(view.folder or view.workspace), "--", *command]
