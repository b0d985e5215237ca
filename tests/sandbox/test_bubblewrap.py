"""bubblewrap's arguments: what a command is shown, and what is hidden, in the right order."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawd.sandbox.bubblewrap import Ability, Form, Mount, arguments, mounts
from clawd.sandbox.system import System
from clawd.sandbox.view import View

SYSTEM = System(
    folders=(Path("/usr"), Path("/etc")),
    links=(("usr/bin", Path("/bin")),),
    secrets=(Path("/etc/shadow"),),
    resolver=Path("/run/resolver/resolv.conf"),
)
WORKSPACE = Path("/home/ada/.clawd/workspaces/ada")


def line(view: View, *, ability: Ability | None = None, form: Form = "folder") -> str:
    """The command line of ``true`` as one text."""
    ability = ability or Ability()
    return " ".join(arguments(view, SYSTEM, ["true"], ability=ability, look=lambda _: form))


def kinds(view: View) -> list[Mount]:
    """What is put where."""
    return mounts(view, SYSTEM)


def test_only_the_system_and_the_workspace_are_there() -> None:
    """What is not named does not exist: neither home is in the arguments at all."""
    home = Path("/home/ada/.clawd")
    placed = kinds(View(WORKSPACE, hidden=(home, Path("/home/ada"))))
    assert placed == [
        Mount("show", Path("/etc")),
        Mount("show", Path("/usr")),
        Mount("hide", Path("/etc/shadow")),
        Mount("open", WORKSPACE),
    ]


def test_what_lies_in_a_wide_workspace_is_hidden_after_it_is_shown() -> None:
    """A session that works in its user's home does not see clawd's, nor another's workspace."""
    home, other = Path("/home/ada/.clawd"), Path("/home/ada/project")
    placed = kinds(View(Path("/home/ada"), hidden=(other, home)))
    assert placed[-3:] == [
        Mount("open", Path("/home/ada")),
        Mount("hide", home),
        Mount("hide", other),
    ]


def test_a_workspace_in_what_is_hidden_is_put_on_top() -> None:
    """A home below /usr is emptied, and the workspace in it is there all the same."""
    home = Path("/usr/lib/clawd")
    view = View(home / "workspaces/ada", hidden=(home,))
    assert kinds(view)[-2:] == [Mount("hide", home), Mount("open", home / "workspaces/ada")]
    shown = line(view)
    emptied = shown.index(f"--tmpfs {home}")
    opened = shown.index(f"--bind-try {view.workspace}")
    assert emptied < opened < shown.index(f"--remount-ro {home}")


def test_files_of_the_daemon_are_read_only_in_the_workspace() -> None:
    """They come after the workspace that they lie in."""
    shown = line(View(WORKSPACE, readable=(WORKSPACE / "SOUL.md", WORKSPACE / "logs")))
    opened = shown.index(f"--bind-try {WORKSPACE} {WORKSPACE}")
    assert opened < shown.index(f"--ro-bind-try {WORKSPACE}/SOUL.md")
    assert opened < shown.index(f"--ro-bind-try {WORKSPACE}/logs")


def test_namespaces_and_powers() -> None:
    """Own namespaces, no powers, no terminal, an end with the parent; /proc cannot be changed."""
    words = line(View(WORKSPACE)).split()
    for word in (
        *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-net"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--disable-userns"),
    ):
        assert word in words
    assert "--cap-drop ALL" in " ".join(words)
    assert "--remount-ro /dev --remount-ro /proc --remount-ro /" in " ".join(words)
    assert words[-4:] == ["--chdir", str(WORKSPACE), "--", "true"]


def test_the_network_only_when_asked_for() -> None:
    """With it there are names too, wherever the system keeps its resolver's file."""
    without, with_it = line(View(WORKSPACE)), line(View(WORKSPACE, network=True))
    assert "--unshare-net" in without
    assert "/run/resolver" not in without
    assert "--unshare-net" not in with_it
    assert "--ro-bind-try /run/resolver/resolv.conf" in with_it


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("folder", "--tmpfs /etc/shadow"),
        ("file", "--ro-bind /dev/null /etc/shadow"),
        ("missing", ""),
    ],
)
def test_hiding_by_what_is_there(form: Form, said: str) -> None:
    """A folder becomes an empty one, a file a device that cannot be read, nothing stays nothing."""
    shown = line(View(WORKSPACE), form=form)
    assert said in shown
    assert ("/etc/shadow" in shown) == bool(said)


def test_an_older_bubblewrap() -> None:
    """Options that it does not know are left out; the sandbox is there all the same."""
    shown = line(View(WORKSPACE), ability=Ability(sizes=False, seals=False))
    assert "--size" not in shown
    assert "--disable-userns" not in shown
    assert "--unshare-user-try" in shown


def test_where_a_command_begins() -> None:
    """In the workspace, or where it is told."""
    assert "--chdir /home/ada/.clawd/workspaces/ada/src" in line(
        View(WORKSPACE, folder=WORKSPACE / "src")
    )
