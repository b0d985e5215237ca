"""A session's notes and their index, kept in step. Everything here blocks, on one thread."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from clawd.errors import NotFound, Refused, StorageError
from clawd.ids import new_id
from clawd.storage.files import make_private_folder
from clawd.tools.memory import note as notes
from clawd.tools.memory.entry import Entry
from clawd.tools.memory.folder import MAX_NOTES, Folder, Opened, Read, full
from clawd.tools.memory.index import Damaged, Index
from clawd.tools.memory.news import FolderNews
from clawd.tools.memory.note import Note
from clawd.tools.memory.recalling import recall
from clawd.tools.memory.searching import Found, search

_BATCH = 500
_SCAN_SHARE = 50.0
"""Without notices of the system the folder is looked at for a fiftieth of the time, at most."""
_SCAN_SECONDS = 1.0
_TRIES = 50

Result = TypeVar("Result")


class Shelf:
    """What can be asked of one session's notes.

    Before each answer the index takes in what has changed in the folder: of that the system tells
    where it can, so that nothing has to be looked at.
    """

    def __init__(self, workspace: Path, index: Path, news: FolderNews) -> None:
        self.folder = Folder(workspace)
        self.index = Index(index)
        self.stop = threading.Event()
        """Set from another thread: what takes long ends soon, and is gone on with another time."""
        self._news = news
        self._watch = -1
        self._identity = (0, 0)
        self._looked = -1e9
        self._took = 0.0
        self._changed = 0

    def close(self) -> None:
        """Let files and watches go."""
        self._start_over()
        self.index.close()

    def problem(self) -> str:
        """What became of the index since the last time, in words; "" for nothing."""
        said, self.index.problem = self.index.problem, ""
        return said

    # Asking.

    def search(
        self, question: str, limit: int, model: str = "", wanted: array[float] | None = None
    ) -> list[Found]:
        """The notes that answer a question, the best first."""
        with self.folder.opened() as there:
            if there is None:
                return []
            return self._soundly(there, lambda: search(self.index, question, limit, model, wanted))

    def recall(self, said: str, limit: int) -> list[Entry]:
        """The notes that belong to what was said; mostly none."""
        with self.folder.opened() as there:
            if there is None:
                return []
            return self._soundly(there, lambda: recall(self.index, said, limit))

    def newest(self, limit: int, after: int = 0) -> tuple[list[Entry], int]:
        """Notes, the one changed last first, and how many there are."""
        with self.folder.opened() as there:
            if there is None:
                return [], 0
            return self._soundly(
                there, lambda: (self.index.newest(limit, after), self.index.count())
            )

    def read(self, id: str) -> Note:
        """One note as its file has it now; ``NotFound``."""
        id = notes.check_id(id)
        with self.folder.opened() as there:
            return _read(there, id)

    # Changing.

    def save(self, note: Note) -> tuple[Note, bool]:
        """Put a note into a file of its own; False when one says the very same already."""
        with self.folder.opened(make=True) as there:
            if there is None:
                raise StorageError("memory_folder", f"{self.folder.path} went away")
            known = self._soundly(there, lambda: self.index.same(note.digest))
            if known:
                return _read(there, known.removesuffix(".md")), False
            full(self._soundly(there, self.index.count))
            base = notes.slug(note.title) or new_id("note")
            for number in range(1, _TRIES):
                id = base if number == 1 else f"{base}-{number}"
                if number == _TRIES - 1:
                    id = new_id("note")
                made = replace(note, id=id)
                if there.create(f"{id}.md", notes.render(made), made.source):
                    self._follow(there, f"{id}.md")
                    return made, True
        raise Refused("note_exists", f"no free name for a note like {base!r}")

    def update(
        self, id: str, change: Callable[[Note], Note], moment: str, untrusted: str = ""
    ) -> Note:
        """Change a note in its file; ``untrusted`` says what the turn had read, if it had.

        A mark stays: what was saved with one may still be in it.
        """
        id = notes.check_id(id)
        with self.folder.opened() as there:
            found = _read(there, id)
            changed = replace(change(found), updated=moment)
            if untrusted:
                source = found.source if found.untrusted else untrusted
                changed = replace(changed, untrusted=True, source=source)
            if there is not None:
                there.replace(f"{id}.md", notes.render(changed), changed.source)
                self._follow(there, f"{id}.md")
        return changed

    def forget(self, id: str) -> str:
        """Move a note into the trash; where it is then, from the workspace."""
        id = notes.check_id(id)
        with self.folder.opened() as there:
            if there is None or there.look(f"{id}.md") is None:
                raise _unknown(id)
            kept = there.forget(f"{id}.md")
            self._follow(there, f"{id}.md")
            return kept

    def reindex(self) -> int:
        """Make the index anew from the files; how many there are."""
        with self.folder.opened() as there:
            if there is None:
                self.index.remove()
                return 0

            def anew() -> int:
                self.index.clear()
                self._look_at_all(there)
                self.index.prune()
                return self.index.count()

            return self._soundly(there, anew)

    # Vectors.

    def without_vector(self, model: str, limit: int) -> list[tuple[bytes, str]]:
        """Texts that have no vector yet; none when the folder is gone."""
        with self.folder.opened() as there:
            if there is None:
                return []
            return self._soundly(there, lambda: self.index.without_vector(model, limit))

    def take_vectors(self, model: str, vectors: Sequence[tuple[bytes, array[float]]]) -> None:
        """Keep vectors of texts."""
        try:
            self._prepared().take_vectors(model, vectors)
        except Damaged:
            return  # they are asked for again

    # Keeping in step.

    def _soundly(self, there: Opened, ask: Callable[[], Result]) -> Result:
        """Ask the index once it is in step; once more when it was not sound."""
        for _ in range(2):
            try:
                self._prepared()
                self._keep_in_step(there)
                return ask()
            except Damaged:
                self._start_over()
        raise StorageError(
            "memory_index",
            "the index of notes was damaged twice in a row",
            hint=f"look at the disk that holds {self.index.path}",
        )

    def _prepared(self) -> Index:
        if not self.index.path.parent.is_dir():
            make_private_folder(self.index.path.parent)
        return self.index

    def _follow(self, there: Opened, file: str) -> None:
        """Take in a file that was just changed; when that fails, the next question does."""
        try:
            self._take(there, [file])
        except (Damaged, StorageError):
            self._start_over()

    def _keep_in_step(self, there: Opened) -> None:
        if there.identity != self._identity:
            self._start_over()
            self._identity = there.identity
        try:
            changed = there.changed
            touched = self._news.changed(self._watch)
            if touched is None or self._looked < 0:
                # Watched before it is looked at: what changes meanwhile is not missed.
                self._watch = self._news.watch(there.descriptor)
                self._news.changed(self._watch)
                if self._watch >= 0 or self._due(changed):
                    self._look_at_all(there)
            elif touched or changed == self._changed:
                self._take(there, touched)
                self._changed = changed
            else:
                # A name came without notice, as on a disk that other machines write to.
                self._look_at_all(there)
        except BaseException:
            self._start_over()
            raise

    def _start_over(self) -> None:
        """Nothing is known of the folder: look at all of it the next time."""
        self._news.forget(self._watch)
        self._watch, self._looked = -1, -1e9

    def _due(self, changed: int) -> bool:
        """Whether the folder is to be looked at, where nobody tells of changes in it."""
        if changed != self._changed:
            return True
        pause = max(_SCAN_SECONDS, _SCAN_SHARE * self._took)
        return time.monotonic() - self._looked >= pause

    def _look_at_all(self, there: Opened) -> None:
        began = time.monotonic()
        self._changed = there.changed
        found, known = there.scan(), self.index.signatures()
        if len(found) >= MAX_NOTES:
            self.index.problem = f"{self.folder.path}: only {MAX_NOTES} notes count"
        gone = [file for file in known if file not in found]
        if gone:
            self.index.take((), gone)
        changed = [file for file, signature in found.items() if known.get(file) != signature]
        # The oldest first: the latest rows are then the newest notes.
        changed.sort(key=lambda file: found[file])
        for at in range(0, len(changed), _BATCH):
            if self.stop.is_set():
                raise Refused("stopping", "the daemon stops")
            self._take(there, changed[at : at + _BATCH])
        self._looked = time.monotonic()
        self._took = self._looked - began

    def _take(self, there: Opened, files: Iterable[str]) -> None:
        """Read the files that are not as they are known, and forget those that are no more."""
        fresh, gone = [], []
        for file in files:
            seen, known = there.look(file), self.index.signature(file)
            if seen == known:
                continue
            read = there.read(file) if seen is not None else None
            if read is not None:
                fresh.append((_note(file, read), read.signature))
            elif known is not None:
                gone.append(file)
        if fresh or gone:
            self.index.take(fresh, gone)


def _read(there: Opened | None, id: str) -> Note:
    read = there.read(f"{id}.md") if there is not None else None
    if read is None:
        raise _unknown(id)
    return _note(f"{id}.md", read)


def _note(file: str, read: Read) -> Note:
    """The note in a file; what a marked turn wrote is untrusted, whatever stands in its head."""
    note = notes.parse(file.removesuffix(".md"), read.text, read.time)
    if read.source:
        return replace(note, untrusted=True, source=note.source or read.source)
    return note


def _unknown(id: str) -> NotFound:
    return NotFound(
        "unknown_note",
        f"there is no note {id[:80]!a}",
        hint="memory_search and clawd memory list show the ids",
    )
