"""What a whole send costs, and whether the loop stays free while others write, beside floors.

    python benchmarks/sends.py [FOLDER]

FOLDER (the current one unless named) must be on a real disk. A send is the tool call
``send_message_to_session`` as a model makes it, from its arguments to its acknowledgement:
checked, guarded, on disk, in the receiver's mailbox and on the stream; each sender writes to a
mailbox of its own. The floors are written out in ``log.py`` with nothing of clawd in them and
write to one file. Prints Markdown tables; ratios are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from house import House, make_home, running
from log import LINE, BareGroupCommit, sync_floor
from report import ABSENT, peers, percentile, point, processors, ratio, size, table

from clawd.agent.tool import Tool, bind
from clawd.bus.memory import MemoryBus
from clawd.bus.port import Envelope
from clawd.comms.caller import Caller
from clawd.comms.tools import MessageTools
from clawd.lineage import begin

ROUNDS = size(5, 1)
SENDERS = 100
Write = Callable[[int], Awaitable[object]]


def sender(house: House, boxes: int = SENDERS) -> Write:
    """One send by the session of this number to one of so many.

    All sends of a session are those of one turn, to which its tools are bound once.
    """
    tools: dict[int, Tool] = {}

    async def send(number: int) -> None:
        if number not in tools:
            caller = Caller(f"s-{number}", begin(), f"turn-{number}")
            bound = bind(MessageTools(house.daemon.comms, caller))
            tools[number] = bound["send_message_to_session"]
        to = f"s-{SENDERS + number % boxes}"
        answer = await tools[number].call({"target_session": to, "message": "c" * 200})
        assert answer.facts is not None
        assert answer.facts["state"] == "stored"

    return send


async def spread(write: Write, writers: int, each: int) -> tuple[float, list[float]]:
    """Writes a second of so many at once, and the seconds that each write took."""
    taken: list[float] = []

    async def one(number: int) -> None:
        for _ in range(each):
            start = time.perf_counter()
            await write(number)
            taken.append(time.perf_counter() - start)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(writers):
            group.create_task(one(number))
    return writers * each / (time.perf_counter() - start), taken


async def lag(while_running: Awaitable[object] | None, seconds: float = 1.0) -> list[float]:
    """How late a timer of one millisecond is, each time, while something else runs."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    other = asyncio.ensure_future(while_running) if while_running is not None else None
    end = loop.time() + seconds
    while loop.time() < end if other is None else not other.done():
        due = loop.time() + 0.001
        await asyncio.sleep(0.001)
        late.append(loop.time() - due)
    if other is not None:
        await other
    return late


async def rates(house: House, bare: BareGroupCommit, folder: Path) -> str:
    """Sends a second, alone and with many senders."""

    async def floor(_: int) -> None:
        await bare.append(LINE)

    send = sender(house)
    await spread(send, SENDERS, 3)
    await spread(floor, SENDERS, 3)
    sync: list[float] = []
    found: dict[tuple[str, int], list[float]] = {}
    times: dict[tuple[str, int], list[float]] = {}
    cases = tuple((writers, size(each, 2)) for writers, each in ((1, 400), (10, 100), (100, 20)))
    for _ in range(ROUNDS):
        sync.append(statistics.median(sync_floor(folder, 400)[1]))
        for writers, each in cases:
            for name, write in (("clawd", send), ("bare", floor)):
                rate, taken = await spread(write, writers, each)
                found.setdefault((name, writers), []).append(rate)
                point("messages a second", f"{name}", writers, rate)
                times.setdefault((name, writers), []).extend(taken)
    one = statistics.median(sync)
    rows = [
        ("write + fdatasync, one by one (floor)", f"{1 / one:,.0f}", f"{one * 1e6:.0f}", "", "")
    ]
    for writers, _ in cases:
        for name, what in (("bare", "bare group commit (floor)"), ("clawd", "clawd, whole send")):
            key = (name, writers)
            taken = times[key]
            rows.append(
                (
                    f"{what}, {writers} at once",
                    f"{statistics.median(found[key]):,.0f}",
                    f"{statistics.median(taken) * 1e6:.0f}",
                    f"{percentile(taken, 0.99) * 1e6:.0f}",
                    f"{ratio(found[key], found['bare', writers]):.2f}" if name == "clawd" else "1",
                )
            )
    return table(("write", "a second", "p50, µs", "p99, µs", "of the floor's rate"), rows)


async def lags(house: House, bare: BareGroupCommit) -> str:
    """How late the event loop is while ten senders write."""

    async def floor(_: int) -> None:
        await bare.append(LINE)

    send = sender(house)
    cases: dict[str, Callable[[], Awaitable[object]] | None] = {
        "nothing else (floor)": None,
        "ten bare group-commit writers (floor)": lambda: spread(floor, 10, size(700, 20)),
        "ten senders": lambda: spread(send, 10, size(150, 5)),
    }
    late: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, work in cases.items():
            late[name] += await lag(work() if work is not None else None, size(5, 1) / 10)
    rows = [
        (name, *(f"{percentile(values, share) * 1e3:.2f}" for share in (0.5, 0.99, 0.9999)))
        for name, values in late.items()
    ]
    return table(
        ("a timer of 1 ms is late while there run", "p50, ms", "p99, ms", "worst, ms"), rows
    )


async def in_process(house: House) -> str:
    """Whole messages and bare envelopes, beside autogen-core's, which keeps none."""
    each = size(20, 2)
    shares: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, send in (("clawd", sender(house)), ("few", sender(house, 2))):
            cpu = time.process_time()
            rate, _ = await spread(send, SENDERS, each)
            cpu = time.process_time() - cpu
            shares.setdefault(name, []).append((rate, cpu / (SENDERS * each)))
        shares.setdefault("bus", []).append(await envelopes())
        if other := await asyncio.to_thread(peers, "sends"):
            shares.setdefault("autogen", []).append((other["rate"], other["cpu"]))
    rows: list[tuple[str, ...]] = []
    for name, what, goal in (
        ("autogen", "autogen-core, send_message, kept nowhere", ""),
        ("clawd", "clawd, whole send, each to a mailbox of its own", "2"),
        ("few", "clawd, whole send, all to two mailboxes", "2"),
        ("bus", "clawd, an envelope on the bus alone", "20"),
    ):
        if name not in shares:
            rows.append((what, ABSENT, "", "", "", ""))
            continue
        rates, cpus = zip(*shares[name], strict=True)
        proportions = ["", ""]
        if name != "autogen" and "autogen" in shares:
            rates_there, cpus_there = zip(*shares["autogen"], strict=True)
            proportions = [f"{ratio(rates, rates_there):.2f}", f"{ratio(cpus_there, cpus):.2f}"]
        rate, cpu = statistics.median(rates), statistics.median(cpus)
        rows.append((what, f"{rate:,.0f}", f"{cpu * 1e6:.1f}", *proportions, goal))
    head = (f"{SENDERS} senders at once", "a second", "CPU, µs", "of autogen's rate", "by CPU")
    return table((*head, "goal"), rows)


async def envelopes() -> tuple[float, float]:
    """Envelopes a second from a hundred senders through the bus to their takers; CPU of one."""
    bus, each = MemoryBus(), size(100, 2)
    lineage = begin()

    async def put(number: int) -> None:
        for count in range(each):
            bus.publish(Envelope(f"msg-{number}-{count}", "message", f"s-{number}", lineage))
            if count % 10 == 9:
                await asyncio.sleep(0)

    async def take(number: int) -> None:
        inbox = bus.register(f"s-{number}")
        for _ in range(each):
            await inbox.next()

    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(SENDERS):
            group.create_task(take(number))
            group.create_task(put(number))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return SENDERS * each / wall, cpu / (SENDERS * each)


def kept(home: Path) -> int:
    """Messages on disk."""
    boxes = home.glob("workspaces/*/session_messages.jsonl")
    return sum(box.read_bytes().count(b"\n") for box in boxes)


async def measure(home: Path) -> None:
    """Print both tables."""
    count = 2 * SENDERS
    sessions = {f"s-{number}": "text-32" for number in range(count)}
    raised = {"maxMessagesPerPair": 1_000_000, "maxUnread": 1_000_000}
    make_home(home, "http://127.0.0.1:9/v1", sessions, together=count, **raised)
    async with running(home) as house:
        bare = BareGroupCommit(home / "bare.jsonl")
        print(await rates(house, bare, home), end="\n\n")
        print(await in_process(house), end="\n\n")
        print(await lags(house, bare))
        bare.close()
        waiting = sum(house.daemon.comms.post.box(name).unread() for name in sessions)
        stored = await asyncio.to_thread(kept, home)
    assert stored == waiting, (stored, waiting)
    print(f"\n{stored:,} messages sent; all of them on disk and in their mailboxes.")


def main() -> None:
    """Measure in a temporary folder."""
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    print(f"{ROUNDS} rounds, {processors()}.\n")
    with tempfile.TemporaryDirectory(dir=where, prefix=".sends-benchmark-") as home:
        asyncio.run(measure(Path(home)))


if __name__ == "__main__":
    main()
