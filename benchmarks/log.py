"""What the log costs on this disk, beside its floors, all in one run.

    python benchmarks/log.py [FOLDER]

FOLDER (the current one unless named) must be on a real disk. Prints a Markdown table. The floors
are written out here with nothing of clawd in them.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec
from report import ABSENT, peers, percentile, point, size

from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer

ROUNDS = size(3, 1)
Append = Callable[[bytes], Awaitable[None]]


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """A record of the size of a message between sessions."""

    id: str
    sender: str
    to: str
    content: str
    timestamp: float
    read: bool
    thread_id: str


def message(number: int) -> Message:
    """One of about 350 bytes."""
    return Message(f"msg-{number:026}", "agent-1", "agent-2", "c" * 200, 1790000000.5, False, "t-1")


LINE = msgspec.json.encode(message(1)) + b"\n"


class BareGroupCommit:
    """The floor of a group commit: one file, one thread, one queue, no checks, no errors."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._queue: SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def append(self, data: bytes) -> None:
        """Wait until the line is on disk."""
        future = self._loop.create_future()
        self._queue.put((data, future))
        await future

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            try:
                while (item := self._queue.get_nowait()) is not None:
                    batch.append(item)
            except Empty:
                pass
            os.write(self._descriptor, b"".join([data for data, _ in batch]))
            os.fdatasync(self._descriptor)
            self._loop.call_soon_threadsafe(_settle, [future for _, future in batch])


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def sync_floor(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Seconds of each fdatasync alone, and of each write with its fdatasync."""
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    syncs, both = [], []
    for _ in range(count):
        start = time.perf_counter()
        os.write(descriptor, LINE)
        middle = time.perf_counter()
        os.fdatasync(descriptor)
        end = time.perf_counter()
        syncs.append(end - middle)
        both.append(end - start)
    os.close(descriptor)
    return syncs, both


async def latencies(append: Append, count: int) -> list[float]:
    """Seconds of each append when nobody else writes."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        await append(LINE)
        taken.append(time.perf_counter() - start)
    return taken


async def rate(append: Append, writers: int, each: int) -> float:
    """Lines a second of so many writers, each waiting for its own line."""

    async def write() -> None:
        for _ in range(each):
            await append(LINE)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(writers):
            group.create_task(write())
    return writers * each / (time.perf_counter() - start)


def load_rates(folder: Path, lines: int) -> dict[str, float]:
    """Lines a second of CPU, of reading a whole file in three ways."""
    path = folder / "load.jsonl"
    path.write_bytes(msgspec.json.Encoder().encode_lines([message(n) for n in range(lines)]))
    decoder = msgspec.json.Decoder(Message)
    log = Log(path, Message, Writer())
    ways: dict[str, Callable[[], object]] = {
        "clawd": log.load,
        "msgspec": lambda: decoder.decode_lines(path.read_bytes()),
        "json": lambda: [json.loads(line) for line in path.open(encoding="utf-8")],
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            kept = way()
            best[name] = max(best[name], lines / (time.process_time() - start))
            del kept
    return best


async def measure(folder: Path) -> list[tuple[str, str, str]]:
    """Every row: what, figure, in proportion to its floor."""
    writer = Writer()
    writer.start()
    path = folder / "clawd.jsonl"

    async def ours(data: bytes) -> None:
        await writer.append(path, data)

    bare = BareGroupCommit(folder / "bare.jsonl")
    syncs: list[float] = []
    both: list[float] = []
    alone: list[float] = []
    bare_alone: list[float] = []
    rates: dict[str, list[float]] = {}
    await latencies(ours, 200)
    await latencies(bare.append, 200)
    for _ in range(ROUNDS):
        for floor, part in zip((syncs, both), sync_floor(folder, size(2000, 20)), strict=True):
            floor += part
        alone += await latencies(ours, size(2000, 20))
        bare_alone += await latencies(bare.append, size(2000, 20))
        for writers, each in ((1, 1000), (10, 1000), (100, 400)):
            each = size(each, 2)
            rates.setdefault(f"clawd {writers}", []).append(await rate(ours, writers, each))
            rates.setdefault(f"bare {writers}", []).append(await rate(bare.append, writers, each))
        store = await asyncio.to_thread(peers, "redis", str(folder))
        if store:
            rates.setdefault("redis", []).append(store["rate"])
    bare.close()
    await writer.close()
    for name, values in rates.items():
        side, _, writers_at_once = name.partition(" ")
        if writers_at_once:
            point("lines a second", side, int(writers_at_once), statistics.median(values))
    sync, one = statistics.median(syncs), statistics.median(both)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    rows = [
        (f"{what}, p50 / p99", _pair(values), f"{statistics.median(values) / sync:.2f} x the floor")
        for what, values in (
            ("one fdatasync of a line (floor)", syncs),
            ("write + fdatasync for each line", both),
            ("bare group commit, one writer", bare_alone),
            ("clawd, one writer", alone),
        )
    ]
    for writers in (10, 100):
        ours_now, bare_now = middle[f"clawd {writers}"], middle[f"bare {writers}"]
        rows.append((f"bare group commit, {writers} writers", f"{bare_now:,.0f} lines/s", "1"))
        rows.append(
            (
                f"clawd, {writers} writers",
                f"{ours_now:,.0f} lines/s",
                f"{ours_now / bare_now:.2f} of bare; {ours_now * one:.1f} x one by one",
            )
        )
    if "redis" in middle:
        against = [c / r for c, r in zip(rates["clawd 100"], rates["redis"], strict=True)]
        share = f"clawd is {statistics.median(against):.1f} x that (goal 5)"
        rows.append(
            ("Redis, AOF always, redis-py, 100 writers", f"{middle['redis']:,.0f} lines/s", share)
        )
    else:
        rows.append(("Redis, AOF always, redis-py, 100 writers", ABSENT, ""))
    lines = size(100_000, 1000)
    loads = await asyncio.to_thread(load_rates, folder, lines)
    rows.append(("load, msgspec decode_lines (floor)", f"{loads['msgspec']:,.0f} lines/s", "1"))
    rows.append(("load, json.loads", f"{loads['json']:,.0f} lines/s", ""))
    rows.append(
        (
            "load, clawd",
            f"{loads['clawd']:,.0f} lines/s",
            f"{loads['clawd'] / loads['msgspec']:.2f} of msgspec; "
            f"{loads['clawd'] / loads['json']:.1f} x json",
        )
    )
    return rows


def _pair(values: list[float]) -> str:
    return f"{statistics.median(values) * 1e6:.0f} / {percentile(values, 0.99) * 1e6:.0f} µs"


def main() -> None:
    """Measure in a temporary folder and print the table."""
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=where, prefix=".log-benchmark-") as folder:
        rows = asyncio.run(measure(Path(folder)))
    print(f"Lines of {len(LINE)} bytes, {ROUNDS} rounds, {os.cpu_count()} processors.\n")
    print("| what | figure | in proportion |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
