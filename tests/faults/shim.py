"""Orders to the preloaded shim (``shim.c``): which I/O call of a program fails, and how."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from enum import IntEnum, IntFlag
from pathlib import Path

_FIELDS = (
    "calls", "at", "mode", "number", "again", "kinds", "fired", "delay", "lie", "distrusted",
)  # fmt: skip


class Mode(IntEnum):
    """What happens to a call."""

    NOTHING = 0
    ERROR = 1
    SHORT = 2
    TORN = 3
    KILL_BEFORE = 4
    KILL_AFTER = 5


class Kind(IntFlag):
    """Calls that change files."""

    OPEN = 1
    WRITE = 2
    SYNC = 4
    RENAME = 8
    TRUNCATE = 16
    UNLINK = 32
    MKDIR = 64


EVERY = Kind(127)


class Control:
    """The orders of one shim; they take effect at once, also in a program that runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(8 * len(_FIELDS)))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8 * len(_FIELDS))

    def __getitem__(self, field: str) -> int:
        return int(struct.unpack_from("q", self._shared, 8 * _FIELDS.index(field))[0])

    def __setitem__(self, field: str, value: int) -> None:
        struct.pack_into("q", self._shared, 8 * _FIELDS.index(field), value)

    def strike(
        self, at: int, mode: Mode, number: int = 0, *, kinds: Kind = EVERY, again: bool = False
    ) -> None:
        """Let the call of this number, counted from now on, meet its fate."""
        self.rest()
        self["kinds"] = kinds
        self["mode"] = mode
        self["number"] = number
        self["again"] = again
        self["calls"] = self["fired"] = 0
        self["at"] = at

    def rest(self) -> None:
        """From now on nothing happens any more."""
        for field in ("at", "mode", "again", "delay", "lie"):
            self[field] = 0


class Shim:
    """The compiled shim and its orders, for programs that work below ``folder``."""

    def __init__(self, library: Path, place: Path, folder: Path) -> None:
        self.control = Control(place / "control")
        self.environ = {
            "LD_PRELOAD": str(library),
            "CLAWD_FAULTS_FOLDER": str(folder.resolve()),
            "CLAWD_FAULTS_CONTROL": str(self.control.path),
        }


def compiler() -> str | None:
    """The C compiler of this machine."""
    return next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)


def build(place: Path) -> Path:
    """Compile the shim into this folder; raises with the compiler's words."""
    library = place / "shim.so"
    source = Path(__file__).with_name("shim.c")
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror")
    command = [compiler() or "cc", *flags, "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return library
