"""What is loaded, and what is wrong with the rest; read again when a file has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clawd.errors import ClawdError
from clawd.tools.own.reference import Target, resolve
from clawd.tools.own.source import Signature, Source
from clawd.tools.own.threads import start_thread

SECONDS = 5.0
"""How long the import of one module is waited for; it goes on, and is taken when it has ended."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One reference: what it is bound from, and what is wrong with it now, if anything."""

    targets: tuple[Target, ...] = ()
    problem: str = ""


class Loading:
    """The references of all sessions, each imported once."""

    def __init__(self, home: Path) -> None:
        self._source = Source(home / "tools")
        self._known: dict[str, Loaded] = {}
        self._read: Signature | None = None
        self._imports: dict[str, asyncio.Future[tuple[Target, ...]]] = {}
        self._lock = asyncio.Lock()

    async def ensure(self, references: Iterable[str]) -> bool:
        """Load those that are not, and all of them again when a file of the folder has changed.

        What can no longer be imported goes on as it was; its problem says so. Never raises.
        Whether anything is not as it was.
        """
        wanted = list(dict.fromkeys(references))
        if not wanted:
            return False
        async with self._lock:
            now = await asyncio.to_thread(self._source.signature)
            if now != self._read:
                self._read = now
                self._imports.clear()
                await asyncio.to_thread(self._source.fresh)
                wanted = list(dict.fromkeys([*self._known, *wanted]))
            else:
                wanted = [each for each in wanted if each not in self._known or self._late(each)]
            for reference in wanted:
                self._known[reference] = await self._load(reference)
        return bool(wanted)

    def get(self, reference: str) -> Loaded:
        """What is known of a reference; nothing before it was loaded."""
        return self._known.get(reference, Loaded())

    def keep(self, references: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(references)
        self._known = {each: loaded for each, loaded in self._known.items() if each in kept}

    def _late(self, reference: str) -> bool:
        """Whether an import that was not waited for any longer has ended."""
        return reference in self._imports and self._imports[reference].done()

    async def _load(self, reference: str) -> Loaded:
        before = self.get(reference).targets
        going_on = " (the version before it goes on)" if before else ""
        try:
            work = partial(resolve, reference, self._source)
            running = self._imports.pop(reference, None)
            running = running or start_thread(f"import {reference}", work)
            await asyncio.wait([running], timeout=SECONDS)
            if running.done():
                return Loaded(running.result())
            self._imports[reference] = running
            problem = f"tools.load {reference!a}: its import takes longer than {SECONDS:g} s"
        except ClawdError as failure:
            problem = f"{failure.message}; {failure.hint}"
        return Loaded(before, problem + going_on)
