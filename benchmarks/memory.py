"""What idle sessions and held mail take of memory, beside plain dicts and beside the bare text.

    python benchmarks/memory.py [FOLDER]

FOLDER (the current one unless named) must be on a real disk. An idle session has 8 KB of identity
and a conversation of 20 messages, 10 KB of text. The floor keeps the same in a list of dicts. Each
figure is of a process of its own. Prints Markdown tables.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from report import HERE, point, processors, size, table
from start import daemon, resident

from clawd.comms.mailbox import FILE_NAME, Mailbox
from clawd.comms.models import SessionMessage
from clawd.ids import new_id, now
from clawd.lineage import begin
from clawd.messages import assistant, user
from clawd.sessions.records import ConversationRecord, MessageRecord, Record
from clawd.storage.writer import Writer

SESSIONS = (3, size(1000, 10), size(10_000, 20))
MAIL = (size(100_000, 1000), size(1_000_000, 2000))
_encoder = msgspec.json.Encoder()


def text(number: int, length: int) -> str:
    """A text like no other."""
    return f"{number} is what this is about. ".ljust(length, "x")


def make_home(home: Path, count: int) -> None:
    """So many idle sessions."""
    sessions = {}
    for number in range(count):
        name, conversation, moment = f"s-{number}", new_id("conv"), now()
        sessions[name] = {
            "description": f"Session {number}",
            "a2a": {"organization": f"org-{number // 10}"},
        }
        folder = home / "workspaces" / name
        folder.mkdir(parents=True)
        (folder / "SOUL.md").write_text(text(number, 8192))
        lines: list[Record] = [
            ConversationRecord(id=conversation, conversation=conversation, time=moment)
        ]
        lines += [
            MessageRecord(
                id=new_id("line"),
                conversation=conversation,
                time=moment,
                turn=f"turn-{number}-{index // 2}",
                trigger="user",
                message=assistant(text(index, 800)) if index % 2 else user(text(index, 200)),
            )
            for index in range(20)
        ]
        (folder / "history.jsonl").write_bytes(_encoder.encode_lines(lines))
    (home / "config.json").write_text(json.dumps({"sessions": sessions}))
    (home / "config.json").chmod(0o600)


def dicts(count: int) -> list[list[dict[str, str]]]:
    """The floor: what any loop around a client keeps."""
    return [
        [{"role": "system", "content": text(number, 8192)}]
        + [
            {"role": "assistant", "content": text(index, 800)}
            if index % 2
            else {"role": "user", "content": text(index, 200)}
            for index in range(20)
        ]
        for number in range(count)
    ]


def grown(kind: str, argument: str) -> float:
    """KB by which a process of its own grew."""
    command = [sys.executable, str(HERE / "memory.py"), "--grow", kind, argument]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600)
    return float(done.stdout)


def grow(kind: str, argument: str) -> float:
    """KB by which this process grows when it holds so many of a kind."""
    gc.collect()
    before = _resident()
    held: object
    if kind == "dicts":
        held = dicts(int(argument))
    elif kind == "clawd":
        box = Mailbox("b", Path(argument), Writer())
        box.load()
        held = box
    else:
        with Path(argument).open("rb") as lines:
            held = [msgspec.json.decode(line) for line in lines]
    gc.collect()
    after = _resident()
    del held
    return after - before


def _resident() -> float:
    return resident(int(Path("/proc/self/stat").read_text().split()[0]))


def idle(folder: Path) -> str:
    """Memory and start of a daemon by its idle sessions."""
    rows = []
    base = 0.0
    for count in SESSIONS:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".idle-") as home:
            make_home(Path(home), count)
            with daemon(Path(home)) as (ready, process):
                time.sleep(2)  # it loads its model client once it answers
                whole = resident(process)
        base = base or whole
        floor = grown("dicts", str(count)) / count
        each = (whole - base) / (count - SESSIONS[0]) if count > SESSIONS[0] else 0.0
        if each:
            point("megabytes by idle sessions", "clawd", count, whole / 1024)
            point("megabytes by idle sessions", "dicts", count, floor * count / 1024)
        rows.append(
            (
                f"{count:,}",
                f"{ready:.2f}",
                f"{whole / 1024:.0f}",
                f"{each:.1f}" if each else "",
                f"{floor:.1f}" if each else "",
                f"{each / floor:.2f}" if each else "",
            )
        )
    head = ("idle sessions", "ready after, s", "resident, MB", "KB each", "dicts, KB each")
    return table((*head, "of the dicts"), rows)


def mail(folder: Path) -> str:
    """Memory of a mailbox by its messages."""
    rows = []
    for count in MAIL:
        path = folder / FILE_NAME
        lineage = begin()
        with path.open("wb") as file:
            for number in range(count):
                message = SessionMessage(
                    id=new_id("msg"),
                    from_="a",
                    to="b",
                    content=text(number, 200),
                    timestamp=now(),
                    read=False,
                    lineage=lineage.step(f"turn-{number}", "a"),
                )
                file.write(_encoder.encode(message) + b"\n")
        bytes_each = path.stat().st_size / count
        start = time.perf_counter()
        clawd = grown("clawd", str(path)) / count
        seconds = time.perf_counter() - start
        floor = grown("json", str(path)) / count
        point("megabytes by held messages", "clawd", count, clawd * count / 1024)
        point("megabytes by held messages", "dicts", count, floor * count / 1024)
        rows.append(
            (f"{count:,}", f"{bytes_each:.0f}", f"{clawd:.2f}", f"{floor:.2f}", f"{seconds:.1f}")
        )
        path.unlink()
    head = ("messages", "bytes of a line", "clawd, KB each", "dicts, KB each", "process, s")
    return table(head, rows)


def main() -> None:
    """Measure in a temporary folder."""
    if sys.argv[1:2] == ["--grow"]:
        print(asyncio.run(_grow()))
        return
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    print(f"{processors()}.\n")
    with tempfile.TemporaryDirectory(dir=where, prefix=".memory-") as folder:
        print(idle(Path(folder)), end="\n\n")
        print("Goals: at most 1.2 of the dicts, and 350 MB in all at 10,000.\n")
        print(mail(Path(folder)))
        print("\nGoal: at most 0.8 KB each.")


async def _grow() -> float:
    return grow(*sys.argv[2:])


if __name__ == "__main__":
    main()
