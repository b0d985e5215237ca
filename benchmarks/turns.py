"""What a turn costs clawd, beside the loop that the openai package documents, in the same run.

    python benchmarks/turns.py [FOLDER] [ROUNDS]

FOLDER (the current one unless named) must be on a real disk: clawd keeps every transcript there,
the other loop keeps its history in memory alone. Each side runs in a process of its own against
the same endpoint; the order changes from round to round. CPU is that of the whole process, its
threads included. Prints a Markdown table; ratios are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from report import endpoint, peers, point, processors, ratio, size, table
from sdk_loop import SdkLoop

if TYPE_CHECKING:
    from house import House

HERE = Path(__file__).parent
ROUNDS = size(3, 1)
TOOL = {"clawd": "read_session_messages", "openai": "noop"}
Turn = Callable[[str, str], Awaitable[str]]
Costs = dict[str, tuple[float, float]]
"""CPU and wall seconds by case."""


@dataclass(frozen=True)
class Case:
    """So many sessions, each so many turns, one turn after another or all sessions at once."""

    name: str
    model: str
    sessions: int
    turns: int
    at_once: bool = False
    goal: str = ""

    @property
    def count(self) -> int:
        """All turns; a slow answer is counted by its tokens."""
        kind, _, tokens = self.model.partition("-")
        return self.sessions * self.turns * (int(tokens) if kind == "slow" else 1)


HUNDRED, THOUSAND = size(100, 3), size(1000, 6)
CASES = {
    "text": Case("no tool call", "text-32", HUNDRED, 2, goal="0.30"),
    "tools": Case("five tool calls", "tools-5", HUNDRED, 1, goal="0.35"),
    "slow": Case("a token that trickles in", "slow-256", size(50, 2), 1, at_once=True, goal="0.25"),
    "hundred": Case(f"one tool call, {HUNDRED} at once", "tools-1", HUNDRED, 4, at_once=True),
    "thousand": Case(f"one tool call, {THOUSAND:,} at once", "tools-1", THOUSAND, 1, at_once=True),
}


async def measure(turn: Turn, models: dict[str, str]) -> Costs:
    """What a turn of each of these cases costs. ``turn`` takes a session and its model."""

    async def some(session: str, model: str, turns: int) -> None:
        for _ in range(turns):
            text = await turn(session, model)
            assert text.startswith("tok0 "), text

    found = {}
    for name, model in models.items():
        await some(f"warm-{name}", model, 10)
    for case in models:
        what = CASES[case]
        names = [f"{case}-{number}" for number in range(what.sessions)]
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        if what.at_once:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(some(name, models[case], what.turns))
        else:
            for name in itertools.islice(itertools.cycle(names), what.count):
                await some(name, models[case], 1)
        found[case] = (
            (time.process_time() - cpu) / what.count,
            (time.perf_counter() - wall) / what.count,
        )
    return found


def models_of(side: str) -> dict[str, str]:
    """Which model each case asks, by case."""
    return {
        case: f"{what.model}-{TOOL[side]}" if what.model.startswith("tools") else what.model
        for case, what in CASES.items()
    }


def asking(house: House) -> Turn:
    """A turn of a session of this daemon."""

    async def turn(session: str, _: str) -> str:
        return await house.turn(session, "Please do the thing.")

    return turn


async def ours(url: str, folder: Path) -> Costs:
    """The clawd side."""
    from house import make_home, running  # noqa: PLC0415 - the other side does without

    found: Costs = {}
    every = models_of("clawd")
    thousand = {"thousand": every.pop("thousand")}
    # The many have a home of their own: the others' daemon has not to look after them.
    for models in (every, thousand):
        sessions = {f"warm-{case}": model for case, model in models.items()}
        for case, model in models.items():
            sessions |= {f"{case}-{number}": model for number in range(CASES[case].sessions)}
        with tempfile.TemporaryDirectory(dir=folder, prefix=".turns-benchmark-") as home:
            make_home(Path(home), url, sessions)
            async with running(Path(home)) as house:
                found |= await measure(asking(house), models)
    return found


async def theirs(url: str) -> Costs:
    """The side of the documented loop."""
    loop = SdkLoop(url)
    try:
        return await measure(
            lambda session, model: loop.turn(session, model, "Please do the thing."),
            models_of("openai"),
        )
    finally:
        await loop.close()


def run_side(side: str, url: str, folder: str) -> Costs:
    """Measure one side in a process of its own."""
    command = [sys.executable, str(HERE / "turns.py"), "--side", side, url, folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600)
    found: Costs = json.loads(done.stdout)
    return found


def compare(folder: str, rounds: int) -> str:
    """The tables."""
    results: dict[str, list[Costs]] = {"clawd": [], "openai": []}
    others: list[dict[str, Costs]] = []
    with endpoint() as url:
        for number in range(rounds):
            # The order changes, so that neither side always has the warmer machine.
            for side in ("clawd", "openai") if number % 2 else ("openai", "clawd"):
                results[side].append(run_side(side, url, folder))
            others.append(peers("turns", url) or {})
    rows = [row for case, what in CASES.items() for row in _rows(what, _pairs(results, case))]
    head = ("a turn", "", "clawd", "openai loop", "clawd / openai", "goal")
    for case, sessions in (("hundred", HUNDRED), ("thousand", THOUSAND)):
        for side in results:
            rate = statistics.median(1 / found[case][1] for found in results[side])
            point("turns a second", side, sessions, rate)
    rates = [found["hundred"][1] / found["thousand"][1] for found in results["clawd"]]
    kept = f"clawd's rate at {THOUSAND:,} is {statistics.median(rates):.2f} of that at {HUNDRED}"
    return f"{table(head, rows)}\n\n{kept} (goal 0.7).\n\n{_beside(results['openai'], others)}"


def _pairs(results: dict[str, list[Costs]], case: str) -> dict[str, list[tuple[float, float]]]:
    return {side: [found[case] for found in costs] for side, costs in results.items()}


def _rows(case: Case, pairs: dict[str, list[tuple[float, float]]]) -> list[tuple[str, ...]]:
    mine, other = pairs["clawd"], pairs["openai"]
    unit, scale = ("µs", 1e6) if case.model.startswith("slow") else ("ms", 1e3)
    rows = []
    for index, what in ((0, "CPU"), (1, "wall")):
        columns = [[pair[index] * scale for pair in side] for side in (mine, other)]
        middle = [f"{statistics.median(column):.2f}" for column in columns]
        share = f"{ratio(*columns):.2f}"
        rows.append((case.name, f"{what}, {unit}", *middle, share, "" if index else case.goal))
    if case.at_once and case.model.startswith("tools"):
        columns = [[1 / pair[1] for pair in side] for side in (mine, other)]
        middle = [f"{statistics.median(column):.0f}" for column in columns]
        rows[1] = (case.name, "turns/s", *middle, f"{ratio(*columns):.2f}", "4")
    return rows


def _beside(openai: list[Costs], others: list[dict[str, Costs]]) -> str:
    """The same turns by agent frameworks, as multiples of the openai loop's CPU."""
    names = sorted({name for found in others for name in found})
    if not names:
        return "The frameworks beside it are not measured: `scripts/benchmark --peers`."
    rows = []
    for name in names:
        shares = [
            f"{ratio([o[name][case][0] for o in others], [c[case][0] for c in openai]):.2f}"
            for case in ("text", "tools")
        ]
        rows.append((name, *shares))
    return table(("CPU of a turn, of the openai loop's", "no tool call", "five tool calls"), rows)


def main() -> None:
    """Compare, or measure one side."""
    if sys.argv[1:2] == ["--side"]:
        _, _, side, url, folder = sys.argv
        found = ours(url, Path(folder)) if side == "clawd" else theirs(url)
        print(json.dumps(asyncio.run(found)))
        return
    folder = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    print(f"{rounds} rounds, {processors()}.\n\n{compare(folder, rounds)}")


if __name__ == "__main__":
    main()
