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
from pathlib import Path

from report import processors, ratio, table
from sdk_loop import SdkLoop

HERE = Path(__file__).parent
SESSIONS = 100
TURNS = 200
TOOL = {"clawd": "read_session_messages", "openai": "noop"}
CASES = {
    "text": f"no tool call, {TURNS} in sequence",
    "tools": f"five tool calls, {TURNS} in sequence",
    "at once": f"five tool calls, {SESSIONS} sessions at once",
}
Turn = Callable[[str, str], Awaitable[str]]


async def measure(turn: Turn) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of a turn, by case. ``turn`` takes a session and the kind of model."""

    async def one(session: str, kind: str) -> None:
        text = await turn(session, kind)
        assert text.startswith("tok0 "), text

    found = {}
    for kind in ("text", "tools"):
        for number in range(10):
            await one(f"warm-{kind}-{number}", kind)
    for case in CASES:
        kind = "text" if case == "text" else "tools"
        names = [f"{case.replace(' ', '-')}-{n}" for n in range(SESSIONS)]
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        if case == "at once":
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(_twice(one, name, kind))
        else:
            for name in itertools.islice(itertools.cycle(names), TURNS):
                await one(name, kind)
        found[case] = (
            (time.process_time() - cpu) / TURNS,
            (time.perf_counter() - wall) / TURNS,
        )
    return found


async def _twice(one: Callable[[str, str], Awaitable[None]], name: str, kind: str) -> None:
    for _ in range(TURNS // SESSIONS):
        await one(name, kind)


async def ours(url: str, folder: Path) -> dict[str, tuple[float, float]]:
    """The clawd side."""
    from house import make_home, running  # noqa: PLC0415 - the other side does without

    models = {"text": "text-32", "tools": f"tools-5-{TOOL['clawd']}"}
    sessions = {f"warm-{kind}-{n}": models[kind] for kind in models for n in range(10)}
    for case in CASES:
        kind = "text" if case == "text" else "tools"
        sessions |= {f"{case.replace(' ', '-')}-{n}": models[kind] for n in range(SESSIONS)}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".turns-benchmark-") as home:
        make_home(Path(home), url, sessions)
        async with running(Path(home)) as house:
            return await measure(lambda session, _: house.turn(session, "Please do the thing."))


async def theirs(url: str) -> dict[str, tuple[float, float]]:
    """The side of the documented loop."""
    models = {"text": "text-32", "tools": f"tools-5-{TOOL['openai']}"}
    loop = SdkLoop(url)
    try:
        return await measure(
            lambda session, kind: loop.turn(session, models[kind], "Please do the thing.")
        )
    finally:
        await loop.close()


def run_side(side: str, url: str, folder: str) -> dict[str, tuple[float, float]]:
    """Measure one side in a process of its own."""
    command = [sys.executable, str(HERE / "turns.py"), "--side", side, url, folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120)
    found: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return found


def compare(folder: str, rounds: int) -> str:
    """The table."""
    endpoint = subprocess.Popen(
        [sys.executable, str(HERE / "endpoint.py")], stdout=subprocess.PIPE, text=True
    )
    results: dict[str, list[dict[str, tuple[float, float]]]] = {"clawd": [], "openai": []}
    try:
        assert endpoint.stdout is not None
        url = endpoint.stdout.readline().strip()
        for number in range(rounds):
            # The order changes, so that neither side always has the warmer machine.
            for side in ("clawd", "openai") if number % 2 else ("openai", "clawd"):
                results[side].append(run_side(side, url, folder))
    finally:
        endpoint.terminate()
        endpoint.wait()
    rows = []
    for case, name in CASES.items():
        for index, unit in ((0, "CPU"), (1, "wall")):
            mine = [found[case][index] * 1e3 for found in results["clawd"]]
            other = [found[case][index] * 1e3 for found in results["openai"]]
            middle = [statistics.median(values) for values in (mine, other)]
            rows.append(
                (
                    name,
                    f"{unit}, ms",
                    f"{middle[0]:.2f}",
                    f"{middle[1]:.2f}",
                    f"{ratio(mine, other):.2f}",
                )
            )
        if case == "at once":
            per_second = [[1 / found[case][1] for found in results[s]] for s in ("clawd", "openai")]
            middle = [statistics.median(values) for values in per_second]
            rows.append(
                (
                    name,
                    "turns/s",
                    f"{middle[0]:.0f}",
                    f"{middle[1]:.0f}",
                    f"{ratio(per_second[0], per_second[1]):.2f}",
                )
            )
    return table(("a turn", "", "clawd", "openai loop", "clawd / openai"), rows)


def main() -> None:
    """Compare, or measure one side."""
    if sys.argv[1:2] == ["--side"]:
        _, _, side, url, folder = sys.argv
        found = ours(url, Path(folder)) if side == "clawd" else theirs(url)
        print(json.dumps(asyncio.run(found)))
        return
    folder = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    text = compare(folder, rounds)
    print(f"{rounds} rounds, {processors()}; {SESSIONS} sessions a case.\n\n{text}")


if __name__ == "__main__":
    main()
