"""What a tool call costs above the function itself, and reading a file through its tool.

The floor of a call is awaiting the same coroutine method with its arguments; that of a read is
opening, reading and closing the file in a thread. Prints Markdown tables; figures are medians over
the rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from report import processors, ratio, size, table

from clawd.agent.tool import Answer, bind, tool
from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings
from clawd.lineage import begin
from clawd.tools.files.kit import Files

ROUNDS = size(9, 1)
CALLS = size(5000, 20)
READS = size(1000, 10)
Call = Callable[[], Awaitable[object]]


class Box:
    """A toolbox of one tool that does nothing."""

    @tool()
    async def look(self, place: str, limit: int = 10, deep: bool = False) -> Answer:
        """Look at a place.

        Args:
            place: where
            limit: how much
            deep: whether to look below
        """
        return Answer(place)


async def spent(call: Call, times: int) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        await call()
    return (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times


async def measured(cases: dict[str, Call], times: int) -> dict[str, list[tuple[float, float]]]:
    """Every case in every round, one after another."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for call in cases.values():
        await spent(call, max(times // 10, 1))
    for _ in range(ROUNDS):
        for name, call in cases.items():
            found[name].append(await spent(call, times))
    return found


async def calls() -> str:
    """One call of a tool that does nothing."""
    box, arguments = Box(), {"place": "here", "limit": 5}
    bound = bind(box)["look"]
    checked = bound.check(arguments)
    cases: dict[str, Call] = {
        "the coroutine itself (floor)": lambda: box.look("here", limit=5),
        "within its limit of time": lambda: bound.run(checked),
        "arguments checked": lambda: bound.call(arguments),
        "bound for this call": lambda: bind(box)["look"].call(arguments),
    }
    found = await measured(cases, CALLS)
    (floor, *_) = found
    rows = []
    for name, rounds in found.items():
        above = statistics.median(
            w - f for (w, _), (f, _) in zip(rounds, found[floor], strict=True)
        )
        wall = statistics.median(wall for wall, _ in rounds)
        rows.append((name, f"{wall * 1e6:.2f}", f"{above * 1e6:.2f}" if name != floor else ""))
    return table(("one call", "µs", "above the floor, µs"), rows)


async def reads(root: Path) -> str:
    """One read of a small and of a larger file."""
    bench = Workbench("s", root, SessionSettings(id="s"), begin())
    read_file = Files().tools(bench)["read_file"]
    rows = []
    for lines in (20, 1000):
        path = root / f"{lines}.txt"
        path.write_text("".join(f"{n}: a line of some sixty characters, as they stand in notes\n"
                                for n in range(lines)))  # fmt: skip
        cases: dict[str, Call] = {
            "bare": lambda path=path: asyncio.to_thread(path.read_text),  # type: ignore[misc]
            "tool": lambda path=path: read_file.call({"path": path.name}),  # type: ignore[misc]
        }
        found = await measured(cases, READS)
        bare, through = ([w for w, _ in found[name]] for name in ("bare", "tool"))
        cpu = [statistics.median(c for _, c in found[name]) * 1e6 for name in ("bare", "tool")]
        figures = [f"{statistics.median(w) * 1e6:.0f}" for w in (bare, through)]
        rows.append((f"{lines} lines", *figures, f"{ratio(through, bare):.2f}",
                     *(f"{c:.0f}" for c in cpu)))  # fmt: skip
    head = ("read_file", "bare read, µs", "tool, µs", "tool / bare", "bare, CPU µs", "tool, CPU µs")
    return table(head, rows)


async def measure(root: Path) -> None:
    """Print both tables."""
    print(await calls(), end="\n\n")
    print(await reads(root))


def main() -> None:
    """Measure in a temporary folder."""
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    print(f"{ROUNDS} rounds, {processors()}.\n")
    with tempfile.TemporaryDirectory(dir=where, prefix=".tools-benchmark-") as root:
        asyncio.run(measure(Path(root)))


if __name__ == "__main__":
    main()
