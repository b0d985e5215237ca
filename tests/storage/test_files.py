"""Files written whole, reading within a folder, and the lock of a home."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clawd.errors import Invalid, Refused, StorageError
from clawd.storage import confine
from clawd.storage.files import (
    HomeLock,
    Text,
    atomic_write,
    make_private_folder,
    read_text_within,
)


def test_private_folder_with_parents(tmp_path: Path) -> None:
    """Every folder that is made is the owner's alone; one that is there stays as it is."""
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_private_folder_refuses_what_is_none(tmp_path: Path) -> None:
    """A file or a link in a folder's place is an error that names it."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link", "file/below"):
        with pytest.raises(StorageError, match=name):
            make_private_folder(tmp_path / name)


def test_atomic_write(tmp_path: Path) -> None:
    """The file has the new bytes and mode, a link is replaced, and nothing else is left."""
    (tmp_path / "target").write_text("untouched")
    (tmp_path / "file").symlink_to("target")
    atomic_write(tmp_path / "file", b"new", 0o640)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").lstat().st_mode) == 0o640
    assert (tmp_path / "target").read_text() == "untouched"
    assert sorted(os.listdir(tmp_path)) == ["file", "target"]
    with pytest.raises(StorageError, match="gone/file"):
        atomic_write(tmp_path / "gone" / "file", b"new")


def test_stale_temporary_files_go(tmp_path: Path) -> None:
    """What a process killed long ago left of a replacement is removed; a present one's is not."""
    old, new = tmp_path / ".file.1-aa.tmp", tmp_path / ".file.1-bb.tmp"
    old.write_text("")
    new.write_text("")
    os.utime(old, (0, 0))
    atomic_write(tmp_path / "file", b"")
    assert sorted(os.listdir(tmp_path)) == [".file.1-bb.tmp", "file"]


def test_read_text(tmp_path: Path) -> None:
    """The text, its size, and nothing for a file that is not there; a BOM is dropped."""
    (tmp_path / "SOUL.md").write_text("\ufeffgrüezi\r\n", encoding="utf-8", newline="")
    assert read_text_within(tmp_path, "SOUL.md", 100) == Text("grüezi\r\n", 12, cut=False)
    assert read_text_within(tmp_path, "USER.md", 100) is None
    (tmp_path / "USER.md").write_text("")
    assert read_text_within(tmp_path, "USER.md", 100) == Text("", 0, cut=False)


@pytest.mark.parametrize(("limit", "text"), [(6, "aéé€"[:3]), (5, "aéé"), (4, "aé"), (0, "")])
def test_cut_at_a_characters_border(tmp_path: Path, limit: int, text: str) -> None:
    """Over the limit the start is read, and never half a character."""
    (tmp_path / "file").write_text("aéé€", encoding="utf-8")
    assert read_text_within(tmp_path, "file", limit) == Text(text, 8, cut=True)


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    """Of two gigabytes only the limit is read."""
    with (tmp_path / "file").open("wb") as file:
        file.write(b"start")
        file.truncate(2**31)
    text = read_text_within(tmp_path, "file", 5)
    assert text == Text("start", 2**31, cut=True)


def test_invalid_utf8_names_the_byte(tmp_path: Path) -> None:
    """A file in another encoding is refused with the offset, also when it is cut."""
    (tmp_path / "file").write_bytes(b"abc\xe9def" + b"x" * 100)
    for limit in (1000, 50):
        with pytest.raises(Invalid, match="at byte 3") as refusal:
            read_text_within(tmp_path, "file", limit)
        assert refusal.value.code == "not_utf8"


@pytest.fixture(params=[True, False], ids=["openat2", "without openat2"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of opening: the kernel's, and the one for systems that lack it."""
    if not request.param:
        monkeypatch.setattr(confine, "_OPENAT2", 100_000)


@pytest.mark.usefixtures("resolver")
def test_links_stay_within_the_folder(tmp_path: Path) -> None:
    """A link inside the folder is followed, relative or absolute; one that leads out is refused."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    (root / "relative").symlink_to("sub/file")
    (root / "absolute").symlink_to(root / "sub" / "file")
    (root / "folder").symlink_to(root / "sub")
    for name in ("sub/file", "relative", "absolute", "folder/file", "sub/../relative"):
        assert read_text_within(root, name, 100) == Text("inside", 6, cut=False)
    (root / "up").symlink_to("../secret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "above").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    outside = ("up", "out", "above/secret", "../secret", str(tmp_path / "secret"), "loop", "a\0b")
    for name in outside:
        with pytest.raises(Invalid) as refusal:
            read_text_within(root, name, 100)
        assert "\n" not in refusal.value.message
        assert refusal.value.hint
    (root / "dangling").symlink_to("nowhere")
    assert read_text_within(root, "dangling", 100) is None


@pytest.mark.usefixtures("resolver")
@pytest.mark.timeout(10)
def test_special_files_are_refused_at_once(tmp_path: Path) -> None:
    """A folder, a pipe that nobody writes and a socket are refused without waiting."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("folder", "pipe", "socket"):
            with pytest.raises(Invalid, match=name):
                read_text_within(tmp_path, name, 100)


def test_hard_link_to_ones_own_file_is_read(tmp_path: Path) -> None:
    """A backup by hard links does not hide an identity file."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "backup").hardlink_to(tmp_path / "file")
    assert read_text_within(tmp_path, "file", 100) == Text("mine", 4, cut=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_hard_link_to_anothers_file_is_refused(tmp_path: Path) -> None:
    """Another owner's file under a second name is not shown."""
    (tmp_path / "theirs").write_text("secret")
    os.chown(tmp_path / "theirs", 12345, 12345)
    (tmp_path / "file").hardlink_to(tmp_path / "theirs")
    with pytest.raises(Invalid, match="another owner"):
        read_text_within(tmp_path, "file", 100)


def test_lock_is_for_one(tmp_path: Path) -> None:
    """A second taker is refused at once with the pid of the first, until that lets go."""
    path = tmp_path / "lock"
    with HomeLock(path):
        with pytest.raises(Refused, match=f"pid {os.getpid()} holds {path}") as refusal:
            HomeLock(path).acquire()
        assert refusal.value.code == "already_running"
        assert refusal.value.facts["pid"] == os.getpid()
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with HomeLock(path):
        assert path.read_text() == f"{os.getpid()}\n"


HOLDER = """
import sys
from pathlib import Path
from clawd.storage.files import HomeLock
lock = HomeLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_dead_holder_does_not_block(tmp_path: Path) -> None:
    """A lock of a killed process is free, whatever pid its file names."""
    path = tmp_path / "lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match=f"pid {child.pid} "):
            HomeLock(path).acquire()
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    with HomeLock(path):
        assert path.read_text() == f"{os.getpid()}\n"
