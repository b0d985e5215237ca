"""The notes of whoever asks: what the tools, the prompt, the edge and the terminal do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from clawd.agent.workbench import Workbench
from clawd.errors import ClawdError
from clawd.ids import now
from clawd.storage.workspace import NOTES
from clawd.tools.memory.entry import Entry
from clawd.tools.memory.library import Library
from clawd.tools.memory.meaning import Meaning
from clawd.tools.memory.note import Note, check_text, clean_tags, clean_title, first_words
from clawd.tools.memory.searching import Found
from clawd.tools.memory.showing import RECALL_NOTES, recalled

RECALL_SECONDS = 2.0
"""How long a turn waits for its notes: only the first after a start may need more."""
_QUESTION = 2000


def path_of(id: str) -> str:
    """Where a note is, from its session's workspace."""
    return f"{NOTES}/{id}.md"


class Books:
    """Saves, finds, changes and forgets for a caller; ``hide`` takes secrets out of a text."""

    def __init__(self, library: Library, meaning: Meaning, hide: Callable[[str], str]) -> None:
        self._library = library
        self._meaning = meaning
        self.hide = hide

    async def save(
        self, bench: Workbench, text: str, title: str = "", tags: Sequence[str] = ()
    ) -> tuple[Note, bool]:
        """Keep a text as a note of its own; False with the note that says the same already."""
        text = check_text(self.hide(text))
        moment = _second()
        made = Note(
            id="",
            title=clean_title(self.hide(title)) or first_words(text),
            text=text,
            tags=clean_tags([self.hide(tag) for tag in tags]),
            created=moment,
            updated=moment,
            untrusted=bench.trust.untrusted,
            source=_source(bench),
        )
        saved = await self._library.ask(
            bench.session, bench.workspace, lambda shelf: shelf.save(made)
        )
        self._meaning.fill(bench)
        return saved

    async def search(self, bench: Workbench, question: str, limit: int) -> tuple[list[Found], bool]:
        """The notes that answer, the best first; True when words had to do without vectors."""
        question = question.strip()[:_QUESTION]
        model, wanted = "", None
        if (bench.workspace / NOTES).is_dir():
            model, wanted = await self._meaning.vector(bench, question)
        found = await self._library.ask(
            bench.session,
            bench.workspace,
            lambda shelf: shelf.search(question, limit, model, wanted),
        )
        if wanted is not None:
            self._meaning.fill(bench)
        return found, bool(model) and wanted is None

    async def newest(self, bench: Workbench, limit: int, after: int = 0) -> tuple[list[Entry], int]:
        """Notes, the one changed last first, and how many there are."""
        return await self._library.ask(
            bench.session, bench.workspace, lambda shelf: shelf.newest(limit, after)
        )

    async def show(self, bench: Workbench, id: str) -> Note:
        """One note as its file has it now."""
        return await self._library.ask(bench.session, bench.workspace, lambda shelf: shelf.read(id))

    async def update(self, bench: Workbench, id: str, change: Callable[[Note], Note]) -> Note:
        """Change a note in its file."""
        moment, untrusted = _second(), _source(bench)
        changed = await self._library.ask(
            bench.session,
            bench.workspace,
            lambda shelf: shelf.update(id, change, moment, untrusted),
        )
        self._meaning.fill(bench)
        return changed

    async def forget(self, bench: Workbench, id: str) -> str:
        """Move a note into the trash; where it is then."""
        return await self._library.ask(
            bench.session, bench.workspace, lambda shelf: shelf.forget(id)
        )

    async def reindex(self, bench: Workbench) -> int:
        """Make the index anew from the files; how many notes there are."""
        count = await self._library.ask(
            bench.session, bench.workspace, lambda shelf: shelf.reindex()
        )
        self._meaning.fill(bench)
        return count

    async def recall(self, bench: Workbench, said: str) -> str:
        """The part of a prompt for what was said; mostly "". What it has of outside marks."""
        # No thread is asked for a session without notes.
        if not said.strip() or not (bench.workspace / NOTES).is_dir():
            return ""
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                found = await self._library.ask(
                    bench.session,
                    bench.workspace,
                    lambda shelf: shelf.recall(said, RECALL_NOTES),
                )
        except (ClawdError, TimeoutError):
            return ""  # the turn goes on without; a search says what is wrong
        text, used = recalled(found)
        self.read(bench, used)
        return text

    def read(self, bench: Workbench, notes: Iterable[Entry]) -> None:
        """The turn has read these notes: what came from outside marks it."""
        for note in notes:
            if note.untrusted:
                bench.trust.mark(f"note {note.id}" + (f" ({note.source})" if note.source else ""))


def _source(bench: Workbench) -> str:
    """What a note of a marked turn says of where its text may be from; "" in any other."""
    return clean_title(", ".join(bench.trust.sources)) if bench.trust.untrusted else ""


def _second() -> str:
    return f"{now()[:19]}Z"
