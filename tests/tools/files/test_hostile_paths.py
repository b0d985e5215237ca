"""R13: paths that lead elsewhere, or to what is no file: nothing outside is read or changed."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tools.files.conftest import Desk

from clawd.errors import ClawdError
from clawd.storage.workspace import identity_file

OUTSIDE = "outside_workspace"
INVALID = "invalid_path"
KEPT = "kept_by_clawd"
ODD = "not_a_regular_file"

NOWHERE = {
    "..": OUTSIDE, "../outside/precious.txt": OUTSIDE, "../../x": OUTSIDE, "./..": OUTSIDE,
    "dir/../../outside/precious.txt": OUTSIDE, "dir/sub/../../../outside/precious.txt": OUTSIDE,
    "new/../../outside/new.txt": OUTSIDE,
    "/": OUTSIDE, "//": OUTSIDE, "/etc/passwd": OUTSIDE, "//etc/passwd": OUTSIDE,
    "/proc/self/environ": OUTSIDE, "/proc/self/cwd/x": OUTSIDE, "/proc/self/root/etc": OUTSIDE,
    "/dev/zero": OUTSIDE, "/dev/stdin": OUTSIDE, "/dev/fd/0": OUTSIDE, "/sys/kernel": OUTSIDE,
    "{root}/../outside/precious.txt": OUTSIDE, "{root}x/precious.txt": OUTSIDE,
    "{outside}/precious.txt": OUTSIDE, "{outside}/new.txt": OUTSIDE,
    "~": OUTSIDE, "~/x": OUTSIDE, "~root/.ssh/authorized_keys": OUTSIDE,
    "out/precious.txt": OUTSIDE, "out/new.txt": OUTSIDE, "out/new/deep.txt": OUTSIDE,
    "out/../outside/precious.txt": OUTSIDE, "precious": OUTSIDE, "precious/x": OUTSIDE,
    "absolute/precious.txt": OUTSIDE, "up/outside/precious.txt": OUTSIDE, "up/x": OUTSIDE,
    "chain": OUTSIDE, "chain/x": OUTSIDE, "dir/away/precious.txt": OUTSIDE,
    "into_nothing": OUTSIDE, "into_nothing_absolute": OUTSIDE, "etc/passwd": OUTSIDE,
    "proc/environ": OUTSIDE, "proc/cwd/x": OUTSIDE, "magic": OUTSIDE, "rooted/etc/passwd": OUTSIDE,
    "loop/x": "link_loop", "ping/x": "link_loop",
    "hard": "hard_link", "pipe": ODD, "socket": ODD,
    "pipe/x": "not_a_folder", "note.txt/x": "not_a_folder", "note.txt/": None,
    "dir": None, "dir/": "is_a_folder", "dir/.": "is_a_folder", "dir/sub/..": None,
    ".": "is_a_folder", "./": "is_a_folder", "{root}": "is_a_folder", "dir/..": "is_a_folder",
    "": INVALID, "\0": INVALID, "note.txt\0.md": INVALID, "a\nb": INVALID, "a\x1b[2Jb": INVALID,
    "a\u202eb": INVALID, "a\u200bb": INVALID, "a\u2028b": INVALID, "a\x7f": INVALID,
    "\ud800": INVALID, "a\udcff": INVALID, "..\\outside\\precious.txt": INVALID,
    "C:\\Windows\\win.ini": INVALID, "x" * 300: None, "x" * 5000: INVALID, "d/" * 2500: INVALID,
    "../" * 60 + "etc/passwd": OUTSIDE, "a/" * 65 + "b": INVALID,
}  # fmt: skip
"""What is refused of every tool; the code where it is the same for all that touch one file."""

DAEMONS = [
    "history.jsonl", "./history.jsonl", "dir/../history.jsonl", "HISTORY.JSONL", "log_link",
    "session_messages.jsonl", "session_messages.jsonl.rejected", "history.jsonl.torn-2026",
    "schedules.jsonl", ".unfinished", ".untrusted.json", "logs/today.jsonl", "logs/new/x",
    "LOGS", "logs", "results/x.txt", "results", "logs_link/x", ".trash/x", ".trash",
    "memory/index.sqlite3", ".history.jsonl.7-0123abcd.tmp", "history\u00ad.jsonl", "{root}/logs/x",
]  # fmt: skip
"""What the daemon alone writes."""

IDENTITY = [
    "SOUL.md", "soul.md", "Soul.MD", "./SOUL.md", "dir/../SOUL.md", "{root}/SOUL.md", "soul_link",
    "here/SOUL.md", "here/here/soul.md", "\u017foul.md", "\uff33\uff2f\uff35\uff2c.md",
    "SO\u00adUL.md", "SOUL.md\u200d", "SOUL.md/x", "IDENTITY.md", "identity.md", "USER.md",
    "persona/user.md", "here/MEMORY.md", "memory_link",
]  # fmt: skip
"""Identity files that may not be written, and the one that may by another name than its own."""

LOOKALIKES = [
    "\u0405OUL.md", "SOUL.md.", "SOUL .md", "SOUL.md ", "history.jsonl2", "logs2/x",
    "....//....//etc/passwd", "%2e%2e/outside/precious.txt", "..%2foutside", ".. /x", "...",
]  # fmt: skip
"""Other files, however they look."""

TOOLS = ("read_file", "write_file", "edit_file", "delete_file")


@pytest.fixture
def trapped(root: Path, tmp_path: Path) -> Iterator[Path]:
    """A workspace full of ways out; the folder outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (tmp_path / "workspacex").mkdir()
    (tmp_path / "workspacex" / "precious.txt").write_text("precious")
    (root / "dir" / "sub").mkdir(parents=True)
    (root / "dir" / "sub" / "kept.txt").write_text("kept")
    (root / "note.txt").write_text("old")
    for name, target in {
        "out": "../outside",
        "absolute": str(outside),
        "precious": "../outside/precious.txt",
        "up": "..",
        "chain": "chain2",
        "chain2": "dir/../chain3",
        "chain3": "../outside/precious.txt",
        "dir/away": "../../outside",
        "into_nothing": "../outside/new.txt",
        "into_nothing_absolute": f"{outside}/new.txt",
        "etc": "/etc",
        "proc": "/proc/self",
        "magic": "/proc/self/fd/0",
        "rooted": "/",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "pipe_link": "pipe",
        "here": ".",
        "soul_link": "SOUL.md",
        "memory_link": "MEMORY.md",
        "log_link": "history.jsonl",
        "logs_link": "logs",
        "USER.md": "persona/user.md",
    }.items():
        (root / name).symlink_to(target)
    (root / "hard").hardlink_to(outside / "precious.txt")
    os.mkfifo(root / "pipe")
    for name in ("SOUL.md", "MEMORY.md", "history.jsonl"):
        (root / name).write_text("old")
    for name in ("logs", "memory", "persona"):
        (root / name).mkdir()
    (root / "logs" / "today.jsonl").write_text("old")
    (root / "persona" / "user.md").write_text("old")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        yield outside


def state_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        regular = path.is_file() and not path.is_symlink()
        content = path.read_bytes() if regular else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_nlink, content)
    return found


async def tried(desk: Desk, tool: str, path: str) -> str:
    """Call a tool on a path; the code of its one clear error."""
    arguments = {
        "write_file": {"content": "pwned"},
        "edit_file": {"old": "old", "new": "pwned"},
    }.get(tool, {})
    return await desk.refused(tool, path=path, **arguments)


def filled(path: str, root: Path) -> str:
    """The path with the places of this test in it."""
    return path.replace("{root}", str(root)).replace("{outside}", str(root.parent / "outside"))


@pytest.mark.usefixtures("resolver")
async def test_what_leads_out_is_refused(desk: Desk, root: Path, trapped: Path) -> None:
    """R13, B28: more than 60 paths through each tool: one clear error, nothing seen or changed."""
    assert len(NOWHERE) > 60
    before, within = state_of(trapped), state_of(root)
    for path, code in NOWHERE.items():
        for tool in TOOLS:
            given = await tried(desk, tool, filled(path, root))
            assert code in (None, given), (tool, path, given)
    for tool in ("read_file", "write_file", "edit_file"):
        assert await tried(desk, tool, "pipe_link") == ODD
    assert state_of(trapped) == before
    assert state_of(root) == within


@pytest.mark.usefixtures("resolver")
async def test_looking_around_shows_nothing_of_elsewhere(
    desk: Desk, root: Path, trapped: Path
) -> None:
    """R13: lists and searches refuse the same paths, and never go through a link that leads out."""
    for path in NOWHERE:
        for tool, arguments in (
            ("list_dir", {}),
            ("find_files", {"pattern": "**"}),
            ("search_text", {"query": "precious"}),
        ):
            try:
                text = await desk.text(tool, path=filled(path, root), **arguments)
            except ClawdError:
                continue
            assert "precious.txt" not in text.replace("-> ../outside/precious.txt", ""), path
            assert ": precious" not in text
    everywhere = await desk.text("search_text", query="precious")
    assert everywhere.startswith("no lines found")


@pytest.mark.usefixtures("resolver")
async def test_what_the_daemon_keeps_is_read_only(desk: Desk, root: Path, trapped: Path) -> None:
    """Mail, transcripts, logs and results are readable, and no tool changes or makes one."""
    before = state_of(root)
    for path in DAEMONS:
        for tool in ("write_file", "delete_file"):
            if (tool, path) == ("delete_file", "log_link"):
                # The link itself is no file of the daemon's.
                continue
            code = await tried(desk, tool, filled(path, root))
            allowed = (KEPT, "is_a_folder", "file_not_found") if "/" in path else (KEPT,)
            assert code in allowed, (tool, path, code)
    assert state_of(root) == before
    assert "old" in await desk.text("read_file", path="history.jsonl")
    assert "old" in await desk.text("read_file", path="logs/today.jsonl")


@pytest.mark.usefixtures("resolver")
async def test_identity_files_are_written_as_the_settings_say(
    desk: Desk, root: Path, trapped: Path
) -> None:
    """By no spelling, link or folder can a session write an identity file that it may not."""
    before = state_of(root)
    for path in IDENTITY:
        assert (await tried(desk, "write_file", filled(path, root))) in (
            "identity_file",
            INVALID,
            "not_a_folder",
        ), path
    for path in ("SOUL.md", "soul.md", "dir/../SOUL.md", "IDENTITY.md", "USER.md"):
        assert await tried(desk, "delete_file", path) == "identity_file"
    assert state_of(root) == before
    await desk.do("write_file", path="MEMORY.md", content="mine")
    await desk.do("edit_file", path="./MEMORY.md", old="mine", new="mine now")
    assert (root / "MEMORY.md").read_text() == "mine now"


async def test_identity_files_that_are_allowed(root: Path, trapped: Path) -> None:
    """With ``tools.identity`` the session writes what is listed, a link within by its own name."""
    desk = Desk(root, identity=["SOUL.md", "USER.md"])
    await desk.do("write_file", path="SOUL.md", content="new")
    await desk.do("write_file", path="USER.md", content="new")
    assert (root / "USER.md").is_symlink()
    assert (root / "persona" / "user.md").read_text() == "new"
    assert await tried(desk, "write_file", "persona/user.md") == "identity_file"
    assert await tried(desk, "write_file", "MEMORY.md") == "identity_file"


@pytest.mark.usefixtures("resolver")
async def test_lookalikes_are_other_files(desk: Desk, root: Path, trapped: Path) -> None:
    """A name that only looks like another is a file of its own, and stays in the workspace."""
    before = state_of(trapped)
    for path in LOOKALIKES:
        await desk.do("write_file", path=path, content="mine")
        assert (root / path).read_text() == "mine"
    assert state_of(trapped) == before
    assert (root / "SOUL.md").read_text() == "old"


def test_an_identity_file_is_known_by_its_letters(tmp_path: Path) -> None:
    """What rules about identity files look at: the path of a call alone."""
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    for path in (f"{link}/SOUL.md", f"{tmp_path}/SOUL.md"):
        assert identity_file(path, link) == "SOUL.md"
    named = {
        "SOUL.md": "SOUL.md", "./soul.MD": "SOUL.md", "a/../SOUL.md": "SOUL.md",
        f"{tmp_path}/USER.md": "USER.md", f"{tmp_path}/a/../memory.md": "MEMORY.md",
        "a/SOUL.md": "", "notes.md": "", "../SOUL.md": "", "/SOUL.md": "", "": "",
        "SO\u00adUL.md": "SOUL.md",
    }  # fmt: skip
    assert {path: identity_file(path, tmp_path) for path in named} == named


@pytest.mark.usefixtures("resolver")
async def test_links_within_are_followed(desk: Desk, root: Path) -> None:
    """A link to a place inside is as good as the place, relative or absolute, for all tools."""
    (root / "real" / "deep").mkdir(parents=True)
    (root / "short").symlink_to("real/deep")
    (root / "full").symlink_to(root / "real")
    (root / "full" / "back").symlink_to(root / "real" / "deep" / "file.txt")
    await desk.do("write_file", path="short/file.txt", content="one")
    assert (root / "real/deep/file.txt").read_text() == "one"
    await desk.do("edit_file", path="full/back", old="one", new="two")
    assert (root / "full" / "back").is_symlink()
    assert "two" in await desk.text("read_file", path="full/deep/file.txt")
    assert "two" in await desk.text("read_file", path=str(root / "short" / "file.txt"))
    await desk.do("write_file", path="full/new/made.txt", content="made")
    assert (root / "real/new/made.txt").read_text() == "made"
    await desk.do("delete_file", path="short")
    assert (root / "real/deep/file.txt").read_text() == "two"


@pytest.mark.usefixtures("resolver")
async def test_a_folder_that_is_exchanged_meanwhile(desk: Desk, root: Path, tmp_path: Path) -> None:
    """R13: while a folder becomes a link out and back, no call reads or writes outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file.txt").write_text("precious")
    (root / "now").mkdir()
    (root / "now" / "file.txt").write_text("mine")
    (root / "flip").symlink_to("../outside")
    names = (os.fsencode(root / "now"), os.fsencode(root / "flip"))
    libc, stop = ctypes.CDLL(None, use_errno=True), threading.Event()

    def exchange() -> int:
        return int(libc.renameat2(-100, names[0], -100, names[1], 2))

    if exchange():
        pytest.skip("this file system cannot exchange two names")

    def keep_on() -> None:
        while not stop.is_set():
            exchange()

    other = threading.Thread(target=keep_on)
    other.start()
    done = 0
    try:
        for number in range(400):
            for tool, arguments in (
                ("read_file", {}),
                ("write_file", {"content": "mine"}),
                ("edit_file", {"old": "mine", "new": "mine"[::-1] if number % 2 else "mine too"}),
                ("search_text", {"query": "precious"}),
            ):
                path = "now" if tool == "search_text" else "now/file.txt"
                try:
                    text = await desk.text(tool, path=path, **arguments)
                except ClawdError:
                    continue
                done += 1
                assert "1\tprecious" not in text
                assert ": precious" not in text
    finally:
        stop.set()
        other.join()
    assert done
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"file.txt": "precious"}


@pytest.mark.skipif(os.geteuid() != 0, reason="making a device needs root")
async def test_devices(desk: Desk, root: Path) -> None:
    """A device in the workspace is refused by name, and never read from."""
    try:
        os.mknod(root / "zero", 0o020666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this system lets nobody make a device")
    for tool in TOOLS:
        assert await tried(desk, tool, "zero") == ODD
