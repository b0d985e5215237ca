"""Vectors of notes and questions, where the session's provider makes them.

An endpoint that fails never fails a search or a note: words find on their own, it is told once,
and the endpoint is left alone for a while.
"""

from __future__ import annotations

import time
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from clawd.agent.workbench import Workbench
from clawd.errors import ClawdError
from clawd.events import Event, Notice
from clawd.llm.port import Embedder
from clawd.llm.tokens import estimate
from clawd.tools.memory.codes import unit
from clawd.tools.memory.library import Library

QUESTION_SECONDS = 5.0
"""How long a search waits for the vector of its question."""
BATCH_SECONDS = 60.0
BATCH = 64
TEXT_TOKENS = 2000
"""So much of a note is sent, at most: its beginning says what it is about."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
_BATCHES = 4000
_KNOWN_QUESTIONS = 256

Finder = Callable[[Workbench], Awaitable[Embedder | None]]
Spawn = Callable[[str, Coroutine[Any, Any, object]], object]


@dataclass(slots=True)
class _Pause:
    seconds: float = 0.0
    until: float = 0.0


class Meaning:
    """Asks for vectors, and keeps those of the notes complete in the background."""

    def __init__(
        self, library: Library, finder: Finder, emit: Callable[[Event], object], spawn: Spawn
    ) -> None:
        self._library = library
        self._finder = finder
        self._emit = emit
        self._spawn = spawn
        self._pauses: dict[str, _Pause] = {}
        self._filling: set[str] = set()
        self._questions: OrderedDict[tuple[str, str], array[float]] = OrderedDict()

    async def vector(self, bench: Workbench, question: str) -> tuple[str, array[float] | None]:
        """The model and the vector of a question; no model: the session has none.

        A model without a vector: its endpoint fails, and words have to do.
        """
        embedder = await self._embedder(bench)
        if embedder is None:
            return "", None
        key = embedder.name, question
        if key not in self._questions:
            made = await self._asked(bench, embedder, [question], QUESTION_SECONDS)
            if made is None or made[0] is None:
                return embedder.name, None
            self._questions[key] = made[0]
            if len(self._questions) > _KNOWN_QUESTIONS:
                self._questions.popitem(last=False)
        self._questions.move_to_end(key)
        return embedder.name, self._questions[key]

    def fill(self, bench: Workbench) -> None:
        """Make the vectors that the session's notes lack, in the background."""
        if bench.session not in self._filling:
            self._filling.add(bench.session)
            self._spawn(f"memory of {bench.session}", self._fill(bench))

    async def _fill(self, bench: Workbench) -> None:
        try:
            for _ in range(_BATCHES):
                embedder = await self._embedder(bench)
                if embedder is None or not await self._batch(bench, embedder):
                    return
        except ClawdError as error:
            self._tell(bench, f"notes got no vectors: {error.message}")
        finally:
            self._filling.discard(bench.session)

    async def _batch(self, bench: Workbench, embedder: Embedder) -> bool:
        """Some more vectors; False when none is missing, or none can be had now."""
        name = embedder.name
        missing = await self._library.ask(
            bench.session, bench.workspace, lambda shelf: shelf.without_vector(name, BATCH)
        )
        if not missing:
            return False
        texts = [_cut(text) for _, text in missing]
        made = await self._asked(bench, embedder, texts, BATCH_SECONDS)
        if made is None:
            return False
        # One without a direction is kept too, or it would be asked for again and again.
        vectors = [
            (digest, vector if vector is not None else array("f"))
            for (digest, _), vector in zip(missing, made, strict=True)
        ]
        await self._library.ask(
            bench.session, bench.workspace, lambda shelf: shelf.take_vectors(name, vectors)
        )
        return True

    async def _embedder(self, bench: Workbench) -> Embedder | None:
        try:
            return await self._finder(bench)
        except ClawdError:
            return None  # a key that is missing is told of by the session's turns

    async def _asked(
        self, bench: Workbench, embedder: Embedder, texts: Sequence[str], seconds: float
    ) -> list[array[float] | None] | None:
        """The vectors, or ``None`` when they cannot be had, which is told once."""
        pause = self._pauses.setdefault(embedder.name, _Pause())
        if time.monotonic() < pause.until:
            return None
        try:
            made = await embedder.embed(texts, seconds)
        except ClawdError as error:
            if not pause.seconds:
                self._tell(bench, f"{error.message}; notes are found by their words alone")
            pause.seconds = min(max(FIRST_PAUSE, 2 * pause.seconds), LONGEST_PAUSE)
            pause.until = time.monotonic() + pause.seconds
            return None
        pause.seconds = pause.until = 0.0
        return [unit(numbers) for numbers in made]

    def _tell(self, bench: Workbench, text: str) -> None:
        self._emit(
            Notice(
                session=bench.session,
                trace=bench.lineage.trace,
                code="embeddings_failed",
                text=text,
                level="warning",
            )
        )


def _cut(text: str) -> str:
    while estimate(text) > TEXT_TOKENS:
        text = text[: max(1, len(text) * TEXT_TOKENS // estimate(text))]
    return text
