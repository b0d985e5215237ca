"""R03: each I/O call of one save fails once, comes short, or is the program's last.

The method is SQLite's: for all k, let the k-th call fail, and look at what is left.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Figures
from tests.faults.shim import EVERY, Kind, Mode, Shim
from tests.faults.sweep import BAD, FIRST, LAST, TORN, Note

from clawd.sessions.creation import settle_unfinished
from clawd.sessions.identity import FILES
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer

JSON = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """A way in which calls fail."""

    name: str
    mode: Mode
    number: int = 0
    again: bool = False
    kinds: Kind = EVERY


SHORT = (
    Fault("a short write", Mode.SHORT, kinds=Kind.WRITE),
    Fault("EIO from a sync", Mode.ERROR, errno.EIO, kinds=Kind.SYNC),
    Fault("killed in the middle of a write", Mode.TORN, kinds=Kind.WRITE),
)
LONG = (
    Fault("EIO", Mode.ERROR, errno.EIO),
    Fault("ENOSPC", Mode.ERROR, errno.ENOSPC),
    Fault("EIO from then on", Mode.ERROR, errno.EIO, again=True),
    Fault("full from then on, the first write cut short", Mode.SHORT, errno.ENOSPC, again=True),
    Fault("EIO from every sync from then on", Mode.ERROR, errno.EIO, again=True, kinds=Kind.SYNC),
    Fault("killed before", Mode.KILL_BEFORE),
    Fault("killed after", Mode.KILL_AFTER),
)


class Sweep:
    """The program under the shim, and a fresh folder for each case."""

    def __init__(self, shim: Shim, folder: Path) -> None:
        self._shim = shim
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sweep"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            cwd=Path(__file__).parents[2], env={**os.environ, **shim.environ},
        )  # fmt: skip

    def run(self, fault: Fault, at: int) -> tuple[Path, list[list[str]], JSON]:
        """One case: its folder, what was answered, and what the shim counted."""
        folder = self._folder / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "notes.jsonl").write_bytes(FIRST + BAD + LAST + TORN)
        (folder / "config").write_bytes(b"old")
        acks = self._folder.parent / "acks"
        acks.write_bytes(b"")
        case = {
            "folder": str(folder), "acks": str(acks), "at": at, "mode": fault.mode,
            "number": fault.number, "again": fault.again, "kinds": fault.kinds,
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(case) + "\n")
        answer = json.loads(self._process.stdout.readline())
        return folder, [line.split() for line in acks.read_text().splitlines()], answer

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


@pytest.fixture
def sweep(shim: Callable[[Path], Shim], tmp_path: Path) -> Iterator[Sweep]:
    """A program to let fail."""
    folder = tmp_path / "below"
    folder.mkdir()
    running = Sweep(shim(folder), folder)
    yield running
    running.close()


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: fault.name)
def test_whichever_write_or_sync_fails(sweep: Sweep, fault: Fault, figures: Figures) -> None:
    """R03, short: what was kept is there, what was refused is not, and every line parses."""
    fail_each(sweep, fault, figures)


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", LONG, ids=lambda fault: fault.name)
def test_whichever_call_fails(sweep: Sweep, fault: Fault, figures: Figures) -> None:
    """R03: the same for every call that changes a file."""
    fail_each(sweep, fault, figures)


def fail_each(sweep: Sweep, fault: Fault, figures: Figures) -> None:
    """Let the first call fail, then the second, until there are no more."""
    at = 0
    while True:
        at += 1
        folder, answers, counted = sweep.run(fault, at)
        wrong = examine(folder, fault, answers, counted)
        assert not wrong, f"call {at} ({fault.name}) in {folder}: {wrong}\n{answers}"
        if at > counted["calls"]:
            break
    assert at > 10
    assert not counted["fired"]
    figures(calls=at - 1)


def examine(folder: Path, fault: Fault, answers: list[list[str]], counted: JSON) -> list[str]:
    """What is wrong with what this case left."""
    killed = fault.mode in (Mode.KILL_BEFORE, Mode.KILL_AFTER, Mode.TORN)
    wrong = []
    if counted["status"] != (-9 if killed and counted["fired"] else 0):
        wrong.append(f"it ended with {counted['status']}")
    if counted["distrusted"]:
        wrong.append(f"{counted['distrusted']} uses of a descriptor whose sync had failed")
    kept = {answer[1] for answer in answers if answer[0] == "kept"}
    refused = {answer[1] for answer in answers if answer[0] == "refused"}
    before = b"".join(path.read_bytes() for path in folder.glob("notes.jsonl*"))
    found = load(folder, "notes") | load(folder, "other")
    for name in sorted({*"abcdef", "last", "other-a", "other-last"}):
        promised = "e" if name == "f" else name
        if promised in kept and name not in found:
            wrong.append(f"{name} was promised and is lost")
        if promised in refused and name in found and not fault.again:
            wrong.append(f"{name} was refused and is there")
    wrong += [f"{name} is lost" for name in ("n0", "n2") if name not in found]
    if "n1" not in found and not killed and "n1-gone" not in kept and "n1-gone" not in refused:
        wrong.append("n1 is lost")
    wrong += [f"{lost!r} is lost" for lost in (BAD.strip(), TORN) if not has(before, lost)]
    if not fault.again and not killed and not {"last", "other-last"} <= kept | refused:
        wrong.append("it did not go on")
    config = (folder / "config").read_bytes()
    if config not in (b"old", b"new " * 1000) or ("config" in kept and config == b"old"):
        wrong.append(f"config is {config[:20]!r} with {len(config)} bytes")
    # What a start does: the session was registered, or it never came to be.
    settle_unfinished(folder, [folder / "made"] if "made" in kept else [])
    there = {path.name for path in (folder / "made").glob("*")}
    if there != (set(FILES) if "made" in kept else set()):
        wrong.append(f"the folder has {there}")
    if "made" not in kept and (folder / "made").exists():
        wrong.append("the folder is there")
    return wrong


def has(data: bytes, lost: bytes) -> bool:
    """Whether these bytes are kept, as they were or as JSON text."""
    return lost in data or json.dumps(lost.decode()).encode().strip(b'"') in data


def load(folder: Path, name: str) -> set[str]:
    """The ids that a next start reads; every line parses after it."""
    path = folder / f"{name}.jsonl"
    loaded = Log(path, Note, Writer()).load()
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else ():
        json.loads(line)
    return set(loaded.records)
