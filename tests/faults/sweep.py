"""One save of everything that storage keeps, run again and again under the shim.

A program of its own, preloaded: it reads cases (JSON lines) and runs each in a fork, because most
of them do not live to the end. ``{"folder", "acks", "at", "mode", "number", "again", "kinds"}``
is answered by ``{"status", "calls", "fired", "distrusted"}``; what was promised is in ``acks``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from tests.faults.shim import Control, Kind, Mode

from clawd.comms.creation import SessionCreation
from clawd.errors import ClawdError
from clawd.sessions.creation import make_workspace
from clawd.storage.files import atomic_write
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer

FIRST = b'{"id":"n0","text":"old"}\n{"id":"n1","text":"old"}\n'
BAD = b"no record at all\n"
LAST = b'{"id":"n2","text":"old"}\n'
TORN = b'{"id":"n3","te'
FILLING = "x" * 2000


class Note(msgspec.Struct, frozen=True):
    """A record."""

    id: str
    text: str


async def save(folder: Path, acks: int) -> None:
    """Load a damaged log, append, compact, append, replace a file, make a session's folder."""

    async def promise(name: str, work: Awaitable[object]) -> None:
        try:
            await work
        except ClawdError as error:
            os.write(acks, f"refused {name} {error.code}\n".encode())
        else:
            os.write(acks, f"kept {name}\n".encode())

    writer = Writer()
    writer.start()
    log = Log(folder / "notes.jsonl", Note, writer)
    try:
        log.load()
    except ClawdError as error:
        os.write(acks, f"refused load {error.code}\n".encode())
    other = Log(folder / "other.jsonl", Note, writer)
    await promise("a", log.append(Note("a", FILLING)))
    await asyncio.gather(*(promise(name, log.append(Note(name, FILLING))) for name in "bcd"))
    await promise("other-a", other.append(Note("other-a", FILLING)))
    await promise("n1-gone", log.compact(lambda name: name != "n1"))
    await promise("e", log.append(Note("e", FILLING), Note("f", FILLING)))
    wanted = SessionCreation("made", "t", "made", "", None, {"SOUL.md": "kind"})
    for name, work in (
        ("config", lambda: atomic_write(folder / "config", b"new " * 1000)),
        ("made", lambda: make_workspace(folder / "made", wanted)),
    ):
        await promise(name, asyncio.to_thread(work))
    await promise("last", log.append(Note("last", FILLING)))
    await promise("other-last", other.append(Note("other-last", FILLING)))
    await writer.close()


def run(case: dict[str, Any], control: Control) -> int:
    """One case, in a fork; the status of its end."""
    acks = os.open(case["acks"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child = os.fork()
    if child == 0:
        control.strike(
            case["at"],
            Mode(case["mode"]),
            case["number"],
            kinds=Kind(case["kinds"]),
            again=case["again"],
        )
        asyncio.run(save(Path(case["folder"]), acks))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    control["at"] = 0
    os.close(acks)
    return status


def main() -> None:
    """Run the cases from stdin."""
    control = Control(Path(os.environ["CLAWD_FAULTS_CONTROL"]))
    for line in sys.stdin:
        status = run(json.loads(line), control)
        counted = {name: control[name] for name in ("calls", "fired", "distrusted")}
        sys.stdout.write(json.dumps({"status": status, **counted}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
