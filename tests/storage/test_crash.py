"""Crashes: what was acknowledged before a kill is there afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer


class Note(msgspec.Struct, frozen=True):
    """A record."""

    id: str
    text: str


CHILD = """
import asyncio, os, sys
from pathlib import Path
import msgspec
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer

class Note(msgspec.Struct, frozen=True):
    id: str
    text: str

async def main():
    writer = Writer()
    writer.start()
    log = Log(Path(sys.argv[1]), Note, writer)
    log.load()

    async def append(who):
        for n in range(10**9):
            note = Note(f"{sys.argv[2]}-{who}-{n}", "x" * (n % 3000))
            await log.append(note)
            os.write(1, note.id.encode() + b"\\n")
            if who == 0 and n % 10 == 9:
                await log.compact()

    async with asyncio.TaskGroup() as group:
        for who in range(8):
            group.create_task(append(who))

asyncio.run(main())
"""


@pytest.mark.timeout(90)
def test_twenty_kills_lose_no_acknowledged_record(tmp_path: Path) -> None:
    """Killed twenty times in mid-append and mid-compaction, the log has all that was promised."""
    path = tmp_path / "notes.jsonl"
    promised: set[str] = set()
    for kill in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(kill)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        with child:
            for _ in range(20 + 13 * kill):
                promised.add(child.stdout.readline().decode().strip())
            child.kill()
            promised |= {
                line.decode().strip() for line in child.stdout.readlines() if line.endswith(b"\n")
            }
    loaded = Log(path, Note, Writer()).load()
    assert promised - set(loaded.records) == set()
    assert len(promised) > 2000
    assert not list(tmp_path.glob("*.rejected"))
