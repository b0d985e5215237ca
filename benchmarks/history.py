"""What a turn costs on a long history, beside the loop that the openai package documents.

    python benchmarks/history.py [FOLDER]

FOLDER (the current one unless named) must be on a real disk. Each side has the same messages of
about 330 characters behind the same system prompt. CPU is that of the whole process; the two sides
take turns in it. Prints a Markdown table; medians over the rounds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
from house import House, make_home, running
from report import endpoint, point, processors, ratio, size, table
from sdk_loop import SdkLoop

from clawd.ids import new_id, now
from clawd.messages import ChatMessage, assistant, user
from clawd.sessions.records import ConversationRecord, MessageRecord, Record

LENGTHS = (10, 100, size(500, 200), size(2000, 300))
ROUNDS = size(5, 1)
EACH = size(4, 1)
"""Turns of a round, after one that warms up."""
ASK = "Please do the thing."


def messages(count: int) -> list[ChatMessage]:
    """A conversation of so many messages, the user's and the model's in turn."""
    return [
        assistant("There is more to tell of it. " * 11) if n % 2 else user("Tell me more. " * 24)
        for n in range(count)
    ]


def write_history(file: Path, count: int) -> None:
    """The transcript of that conversation."""
    conversation, moment = new_id("conv"), now()
    lines: list[Record] = [
        ConversationRecord(id=conversation, conversation=conversation, time=moment)
    ]
    lines += [
        MessageRecord(
            id=new_id("line"),
            conversation=conversation,
            time=moment,
            turn=f"turn-{number // 2}",
            trigger="user",
            message=message,
        )
        for number, message in enumerate(messages(count))
    ]
    file.write_bytes(msgspec.json.Encoder().encode_lines(lines))


async def cpu(turn: Callable[[], Awaitable[str]]) -> float:
    """CPU seconds of a turn."""
    await turn()
    start = time.process_time()
    for _ in range(EACH):
        text = await turn()
        assert text.startswith("tok0 "), text
    return (time.process_time() - start) / EACH


async def measure(house: House, url: str) -> str:
    """The table."""
    loop = SdkLoop(url)
    for length in LENGTHS:
        loop.remember(str(length), [msgspec.to_builtins(m) for m in messages(length)])
    taken: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for length in LENGTHS:
            sides = {
                "clawd": partial(house.turn, f"h-{length}", ASK),
                "openai loop": partial(loop.turn, str(length), "text-32", ASK),
            }
            for side, turn in sides.items():
                taken.setdefault((side, length), []).append(await cpu(turn))
    await loop.close()
    rows = []
    for length in LENGTHS:
        ours, theirs = taken["clawd", length], taken["openai loop", length]
        for side in ("clawd", "openai loop"):
            point("a turn by its history", side, length, statistics.median(taken[side, length]))
        rows.append(
            (
                f"{length:,}",
                f"{statistics.median(ours) * 1e3:.2f}",
                f"{ratio(ours, taken['clawd', LENGTHS[0]]):.2f}",
                f"{statistics.median(theirs) * 1e3:.1f}",
                f"{ratio(theirs, taken['openai loop', LENGTHS[0]]):.1f}",
                f"{ratio(ours, theirs):.3f}",
            )
        )
    first = LENGTHS[0]
    head = (
        "messages",
        "clawd, ms",
        f"of that at {first}",
        "openai loop, ms",
        f"of that at {first}",
    )
    return table((*head, "clawd / openai"), rows)


async def run(folder: Path, url: str) -> str:
    """Measure in a home in this folder."""
    make_home(folder, url, {f"h-{length}": "text-32" for length in LENGTHS})
    file = folder / "config.json"
    config = json.loads(file.read_text())
    # A window that holds it all: what is measured is not a summary.
    config["providerTemplates"]["endpoint"]["contextWindow"] = 4_000_000
    file.write_text(json.dumps(config))
    for length in LENGTHS:
        write_history(folder / f"workspaces/h-{length}/history.jsonl", length)
    async with running(folder) as house:
        return await measure(house, url)


def main() -> None:
    """Measure in a temporary folder."""
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    print(f"{ROUNDS} rounds, {processors()}.\n")
    with tempfile.TemporaryDirectory(dir=where, prefix=".history-") as home, endpoint() as url:
        print(asyncio.run(run(Path(home), url)))
    print("\nGoals: at 2,000 at most 2 times what it is at 10, and 0.01 of the openai loop's.")


if __name__ == "__main__":
    main()
