"""What schedules cost: a daemon that only waits for 1,000 of them, and planning one.

    python benchmarks/schedules.py [FOLDER]

FOLDER (the current one unless named) must be on a real disk. The idle daemon has ten sessions; its
CPU is read from /proc over half a minute, beside the same daemon without schedules, which is the
floor. The floor of planning is one push and one pop of a heap. Prints Markdown tables.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from report import processors, size, table
from start import daemon, resident

from clawd.agent.workbench import Place
from clawd.config.limits import Limits
from clawd.config.schema import SessionSettings
from clawd.ids import now, timestamp
from clawd.storage.writer import Writer
from clawd.timing.recurrence import When, next_after
from clawd.tools.schedule.alarm import Alarm
from clawd.tools.schedule.book import Book
from clawd.tools.schedule.records import FILE_NAME, Schedule

SCHEDULES = size(1000, 10)
SESSIONS = 10
IDLE_SECONDS = size(30, 1)
SETTLED_SECONDS = size(5, 1)
TIMES = size(100_000, 100)
ROUNDS = size(9, 1)
TICKS_A_SECOND = 100

LINES = ("*/5 * * * *", "0 8 * * 1-5", "30 2 * * *", "0 0 1 * *", "0 0 29 2 *")


def schedule(number: int) -> Schedule:
    """One that is due within the next days, and not while it is looked at."""
    at = now()
    return Schedule(
        id=f"sched-{number}",
        time=at,
        text="Look at the oven, and say what is new",
        when=When(every=86_400.0 + number),
        created_by="operator",
        created_at=at,
        since=at,
        next=timestamp(time.time() + 86_400 + number),
    )


def make_home(home: Path, count: int) -> None:
    """A home of ten sessions that share so many schedules."""
    names = [f"s-{number}" for number in range(SESSIONS)]
    (home / "config.json").write_text(json.dumps({"sessions": {name: {} for name in names}}))
    (home / "config.json").chmod(0o600)
    for index, name in enumerate(names):
        folder = home / "workspaces" / name
        folder.mkdir(parents=True)
        lines = [schedule(number) for number in range(index, count, SESSIONS)]
        encoded = b"".join(msgspec.json.encode(each) + b"\n" for each in lines)
        (folder / FILE_NAME).write_bytes(encoded)


def used(pid: int) -> float:
    """The CPU seconds of a process so far, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def idle(folder: Path) -> str:
    """The CPU and the memory of a daemon that waits."""
    rows = []
    for count in (0, SCHEDULES):
        with tempfile.TemporaryDirectory(dir=folder) as home:
            make_home(Path(home), count)
            with daemon(Path(home)) as (_, pid):
                time.sleep(SETTLED_SECONDS)
                before = used(pid)
                time.sleep(IDLE_SECONDS)
                spent = (used(pid) - before) / IDLE_SECONDS
                rows.append((f"{count:,}", f"{spent * 100:.2f} %", f"{resident(pid) / 1024:.1f}"))
    return table(("schedules", "CPU of one processor, idle", "memory, MB"), rows)


def planning() -> str:
    """Microseconds of the steps of planning."""
    keys = [("s", f"sched-{number}") for number in range(SCHEDULES)]

    def later(_: float, __: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        return lambda: None

    async def ring() -> None:
        """Nothing is due."""

    def floor() -> None:
        heap = [(float(number), key) for number, key in enumerate(keys)]
        for number in range(TIMES):
            heapq.heappush(heap, (float(number), keys[number % len(keys)]))
            heapq.heappop(heap)

    def armed() -> None:
        alarm = Alarm(ring, later, time.time)
        base = time.time() + 86_400
        for number in range(TIMES):
            alarm.set(keys[number % len(keys)], base + number)
            alarm.arm()

    rows = [
        ("one push and one pop (floor)", _per(floor, TIMES)),
        ("a schedule set and the timer armed", _per(armed, TIMES)),
    ]
    at = time.time()
    for line in LINES:
        when = When(cron=line, zone="Europe/Berlin")
        few = max(1, TIMES // 100)

        def computed(when: When = when, few: int = few) -> None:
            for number in range(few):
                next_after(when, at, at + number * 60)

        rows.append((f"the next time of `{line}` in Europe/Berlin", _per(computed, few)))
    return table(("step", "µs"), rows)


def _per(work: Callable[[], object], times: int) -> str:
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) / times)
    return f"{statistics.median(found) * 1e6:.2f}"


async def opening(folder: Path) -> str:
    """Reading a session's schedules at the start, and storing a change of one."""
    writer = Writer()
    writer.start()
    place = Place(SessionSettings(id="s", limits=Limits()), folder)
    book = Book(place, writer)
    book.load()
    await book.put(*(schedule(number) for number in range(SCHEDULES)))
    loads, puts = [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        Book(place, writer).load()
        loads.append(time.perf_counter() - began)
        began = time.perf_counter()
        await book.put(schedule(number))
        puts.append(time.perf_counter() - began)
    await writer.close()
    rows = [
        (f"{SCHEDULES:,} schedules of a session read", f"{statistics.median(loads) * 1e3:.2f}"),
        ("a change stored, with its fdatasync", f"{statistics.median(puts) * 1e3:.2f}"),
    ]
    return table(("step", "ms"), rows)


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    print(processors())
    print(f"\n{idle(folder)}\n")
    print(planning())
    with tempfile.TemporaryDirectory(dir=folder) as place:
        print(f"\n{asyncio.run(opening(Path(place)))}")


if __name__ == "__main__":
    main()
