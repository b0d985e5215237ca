"""What notes cost: searching, recalling, saving and indexing, beside a bare FTS5 query.

    python benchmarks/memory_search.py [FOLDER]

Notes of some 75 words, drawn as in a language: few words very often, most of them seldom. A search
is the tool ``memory_search`` from its arguments to its answer, the look at the folder included;
the floor is the same words in one statement over a table of the same texts, kinds interleaved.
Vectors are of chance, in groups, as an embedding model's are. Prints Markdown tables; medians.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from report import point, processors, ratio, size, table

from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings
from clawd.lineage import begin
from clawd.tools.memory.codes import Codes, unit
from clawd.tools.memory.toolkit import Memory

COUNTS = (1_000, 20_000, 100_000) if size(1, 0) else (50, 100)
ROUNDS = size(40, 2)
VECTORS, NUMBERS = size(20_000, 200), 1536
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Language:
    """Words and how often each is used."""

    def __init__(self) -> None:
        self.chance = random.Random(4)
        self.words = [
            "".join(self.chance.choices(_LETTERS, k=self.chance.randint(3, 10)))
            for _ in range(20_000)
        ]
        self._sums = [*itertools.accumulate(1 / (at + 5) for at in range(len(self.words)))]

    def text(self, count: int) -> str:
        """So many words."""
        return " ".join(self.chance.choices(self.words, cum_weights=self._sums, k=count))

    def of_rank(self, low: int, high: int, count: int) -> list[str]:
        """Words that are about so common."""
        return self.chance.sample(self.words[low:high], count)


def questions(language: Language) -> dict[str, list[list[str]]]:
    """What is searched for, each kind with a question for every round."""

    def some(low: int, high: int, count: int) -> list[list[str]]:
        return [language.of_rank(low, high, count) for _ in range(ROUNDS)]

    return {
        "a rare word": some(2_000, 10_000, 1),
        "two words": some(200, 2_000, 2),
        "five words, two of them common": [
            [*a, *b] for a, b in zip(some(0, 50, 2), some(500, 5_000, 3), strict=True)
        ],
        "a word that most notes have": some(0, 5, 1),
    }


class Notes:
    """The notes of one session, and a bare table of the same texts."""

    def __init__(self, folder: Path, count: int, language: Language) -> None:
        self.workspace, self.state = folder / "workspace", folder / "state"
        (self.workspace / "memory").mkdir(parents=True)
        self.state.mkdir()
        self._working: set[asyncio.Task[Any]] = set()
        self.kit = self.opened()
        settings = SessionSettings.model_validate({"id": "a"})
        self.bench = Workbench("a", self.workspace, settings, begin(), "turn-1")
        self.bare = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
        self.bare.execute(
            "CREATE VIRTUAL TABLE t USING fts5 (title, text,"
            ' tokenize = "porter unicode61 remove_diacritics 2")'
        )
        self.bare.execute("BEGIN")
        for number in range(count):
            title, text = language.text(6), language.text(70)
            path = self.workspace / "memory" / f"{number}.md"
            path.write_text(f"---\ntitle: {title}\n---\n\n{text}\n")
            self.bare.execute("INSERT INTO t VALUES (?, ?)", (title, text))
        self.bare.execute("COMMIT")

    def opened(self) -> Memory:
        """The group of tools, as a daemon that starts has it."""

        async def nobody(_: Workbench) -> None:
            return None

        return Memory(self.state, lambda _: None, self._spawn, nobody, str)

    def _spawn(self, _: str, work: Coroutine[Any, Any, object]) -> None:
        self._working.add(asyncio.ensure_future(work))

    async def search(self, words: Sequence[str]) -> None:
        """As a model does."""
        await self.kit.tools(self.bench)["memory_search"].call({"query": " ".join(words)})

    async def floor(self, words: Sequence[str]) -> None:
        """One statement with these words."""
        query = " AND ".join(f'"{word}"' for word in words)
        sql = "SELECT rowid, title, text FROM t WHERE t MATCH ? ORDER BY rank LIMIT 8"
        self.bare.execute(sql, (query,)).fetchall()

    async def recall(self, words: Sequence[str]) -> None:
        """As the prompt of a turn does."""
        await self.kit.recalled(self.bench, " ".join(words))


async def timed(run: Awaitable[object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    await run
    return (time.perf_counter() - began) * 1000


async def searches(notes: Notes, count: int, language: Language) -> list[list[str]]:
    """The rows of the table of searches."""
    rows = []
    for name, asked in questions(language).items():
        taken: dict[str, list[float]] = {"search": [], "floor": [], "recall": []}
        kinds: dict[str, Callable[[Sequence[str]], Awaitable[None]]] = {
            "search": notes.search, "floor": notes.floor, "recall": notes.recall,
        }  # fmt: skip
        for words in asked:
            for kind, run in kinds.items():
                taken[kind].append(await timed(run(words)))
        middle = {kind: statistics.median(times) for kind, times in taken.items()}
        if name == "two words":
            point("searching notes, ms", "memory_search", count, middle["search"])
            point("searching notes, ms", "bare FTS5", count, middle["floor"])
        rows.append(
            [
                f"{count:,}", name, f"{middle['floor']:.2f}", f"{middle['search']:.2f}",
                f"{ratio(taken['search'], taken['floor']):.1f}", f"{middle['recall']:.2f}",
            ]
        )  # fmt: skip
    return rows


async def upkeep(notes: Notes, count: int, language: Language) -> list[str]:
    """The row of what is not searching."""
    saves = [
        await timed(
            notes.kit.tools(notes.bench)["memory_save"].call(
                {"text": language.text(70), "title": language.text(6)}
            )
        )
        for _ in range(size(20, 2))
    ]
    reindex = await timed(notes.kit.books.reindex(notes.bench))
    await notes.kit.close()
    notes.kit = notes.opened()
    first = await timed(notes.search(language.of_rank(2_000, 10_000, 1)))
    bytes_of = sum(path.stat().st_size for path in (notes.state / "memory").iterdir())
    return [
        f"{count:,}",
        f"{statistics.median(saves):.1f}",
        f"{reindex / 1000:.2f}",
        f"{count / reindex * 1000:,.0f}",
        f"{first:.0f}",
        f"{bytes_of / 1e6:.1f}",
    ]


def nearness() -> list[str]:
    """How long the nearest of many vectors take, and how many of the truly nearest they are."""
    chance = random.Random(5)

    def some(middle: list[float]) -> array[float]:
        # As wide as what parts the groups.
        made = unit([number + 3.46 * (chance.random() - 0.5) for number in middle])
        assert made is not None
        return made

    middles = [[chance.gauss(0, 1) for _ in range(NUMBERS)] for _ in range(100)]
    kept = {row: some(chance.choice(middles)) for row in range(VECTORS)}
    stored = {row: vector.tobytes() for row, vector in kept.items()}

    def run(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        if "row IN" in sql:
            return [(row, stored[row]) for row in values[1:]]
        return [(row, Codes.code(vector)) for row, vector in kept.items()]

    codes = Codes(run)
    codes.nearest("m", kept[0], 10)
    taken, exact, hits, asked = [], [], 0, size(5, 1)
    for _ in range(asked):
        wanted = some(chance.choice(middles))
        began = time.perf_counter()
        near = {row for row, _ in codes.nearest("m", wanted, 10)}
        taken.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        cosines = {row: sum(map(float.__mul__, wanted, vector)) for row, vector in kept.items()}
        best = sorted(cosines, key=cosines.__getitem__, reverse=True)[:10]
        exact.append((time.perf_counter() - began) * 1000)
        hits += len(near & {*best})
    return [
        f"{VECTORS:,} of {NUMBERS:,} numbers",
        f"{statistics.median(exact):,.0f}",
        f"{statistics.median(taken):.1f}",
        f"{hits / asked / 10:.0%}",
    ]


async def measure(folder: Path) -> None:
    """All tables."""
    found, kept = [], []
    for count in COUNTS:
        place = folder / str(count)
        language = Language()
        notes = Notes(place, count, language)
        await notes.search(language.of_rank(0, 100, 1))
        found += await searches(notes, count, language)
        kept.append(await upkeep(notes, count, language))
        await notes.kit.close()
        notes.bare.close()
        shutil.rmtree(place)
    head = ["notes", "asked for", "bare FTS5, ms", "memory_search, ms", "of it", "recall, ms"]
    print(table(head, found))
    print()
    head = ["notes", "a save, ms", "reindex, s", "notes a second", "first search, ms", "index, MB"]
    print(table(head, kept))
    print()
    head = ["nearest of vectors", "number by number, ms", "as searched, ms", "of the true ten"]
    print(table(head, [nearness()]))
    print(f"\n{processors()}.")


def main() -> None:
    """Measure in a folder of its own below the one named."""
    parent = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=parent, prefix="memory-search-") as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
