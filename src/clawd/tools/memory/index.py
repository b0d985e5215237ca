"""The index of one session's notes: SQLite, made from the files, and thrown away at any doubt.

A note stands in three tables: as it is, by its words, and by pairs of characters. Everything here
blocks and belongs to one thread. Anything that SQLite finds wrong with the file is answered by an
empty one, which the next look at the folder fills.
"""

from __future__ import annotations

import os
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clawd.errors import Refused, StorageError
from clawd.tools.memory.codes import Codes
from clawd.tools.memory.entry import COLUMNS, Entry, Row
from clawd.tools.memory.folder import Signature
from clawd.tools.memory.note import Note, epoch
from clawd.tools.memory.terms import pairs, spaced

VERSION = 1
_SCHEMA = f"""
CREATE TABLE note (
    row INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT UNIQUE NOT NULL,
    changedat INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL,
    title TEXT NOT NULL, tags TEXT NOT NULL, text TEXT NOT NULL,
    created TEXT NOT NULL, updated TEXT NOT NULL, changed REAL NOT NULL,
    untrusted INTEGER NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL,
    digest BLOB NOT NULL
);
CREATE INDEX note_digest ON note (digest);
CREATE INDEX note_changed ON note (changed);
CREATE VIRTUAL TABLE words USING fts5 (
    title, tags, text, content = '', tokenize = "porter unicode61 remove_diacritics 2"
);
CREATE VIRTUAL TABLE pairs USING fts5 (title, text, content = '', tokenize = "ascii");
CREATE TABLE vector (
    digest BLOB NOT NULL, model TEXT NOT NULL, code BLOB NOT NULL, numbers BLOB NOT NULL,
    PRIMARY KEY (digest, model)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""

_DISK = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class Damaged(Exception):
    """The file is no sound index; it has been replaced by an empty one."""


class Index:
    """What is known of the notes; ``path`` is the database, in a folder that exists."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        """Why the index is not kept on disk, if it is not."""
        self._database: sqlite3.Connection | None = None
        self.codes = Codes(self.run)

    @property
    def database(self) -> sqlite3.Connection:
        """The connection, opened when need be; ``Refused`` where SQLite lacks full-text search."""
        if self._database is None:
            self._database = self._opened()
        return self._database

    def _opened(self) -> sqlite3.Connection:
        for last in (False, True):
            try:
                return self._connected()
            except (OSError, sqlite3.DatabaseError) as failure:
                if "fts5" in str(failure):
                    raise Refused(
                        "no_full_text_search",
                        "this Python's SQLite has no full-text search (FTS5)",
                        hint="use a Python whose sqlite3 has it, or set tools.memory to false",
                    ) from None
                if last or isinstance(failure, OSError) or _of_the_disk(failure):
                    self.problem = f"{self.path} cannot be used ({failure}): it is held in memory"
                    return self._connected(":memory:")
                self.problem = f"{self.path} was damaged and is made anew: {failure}"
                self.remove()
        raise AssertionError  # pragma: no cover - the second round returns or raises

    def _connected(self, name: str = "") -> sqlite3.Connection:
        if not name:
            # SQLite itself would make it readable by whoever the umask lets in.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(self.path, flags, 0o600))
        database = sqlite3.connect(name or self.path, timeout=5.0, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA cache_size = -8000")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                _empty(database)
                database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a statement; ``Damaged`` when the file is not sound."""
        try:
            return self.database.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as failure:
            raise self._damaged(failure) from None

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what is changed inside."""
        database = self.database
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.DatabaseError as failure:
            raise self._damaged(failure) from None
        finally:
            if self._database is not None and database.in_transaction:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                self.codes.forget()

    def _damaged(self, failure: sqlite3.DatabaseError) -> Damaged | StorageError:
        if _of_the_disk(failure):
            text = f"the index of notes could not be used: {failure}"
            return StorageError("memory_index", text, hint=f"look at {self.path} and at its disk")
        self.problem = f"{self.path} was damaged and is made anew: {failure}"
        self.remove()
        return Damaged(str(failure))

    def remove(self) -> None:
        """Delete the file; the next use makes an empty one."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self.path}{suffix}")

    def close(self) -> None:
        """Let the file go."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None
        self.codes.forget()

    # What the files are as far as is known, and taking them in.

    def count(self) -> int:
        """How many notes there are."""
        return int(self.run("SELECT count(*) FROM note")[0][0])

    def signatures(self) -> dict[str, Signature]:
        """The state of every file when it was read."""
        rows = self.run("SELECT file, changedat, size, inode FROM note")
        return {file: (at, size, inode) for file, at, size, inode in rows}

    def signature(self, file: str) -> Signature | None:
        """The state of one file when it was read, ``None`` when it is not known."""
        rows = self.run("SELECT changedat, size, inode FROM note WHERE file = ?", (file,))
        return rows[0] if rows else None

    def take(self, notes: Iterable[tuple[Note, Signature]], gone: Iterable[str] = ()) -> None:
        """Know these notes from now on, in place of what was known of their files."""
        with self.changing() as database:
            for file in gone:
                self._drop(database, file)
            for note, signature in notes:
                self._drop(database, f"{note.id}.md")
                self._put(database, note, signature)

    def _put(self, database: sqlite3.Connection, note: Note, signature: Signature) -> None:
        tags = " ".join(f"#{tag}" for tag in note.tags)
        cursor = database.execute(
            "INSERT INTO note (file, changedat, size, inode, title, tags, text, created, updated,"
            " changed, untrusted, source, line, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(f"{note.id}.md", *signature, note.title, tags, note.text),
                *(note.created, note.updated, epoch(note.updated)),
                *(note.untrusted, note.source, note.line, note.digest),
            ),
        )
        row = cursor.lastrowid
        self._tell(database, "", row, note.title, tags, note.text)
        self.codes.changed(row, note.digest)

    def _drop(self, database: sqlite3.Connection, file: str) -> None:
        found = database.execute("SELECT row, title, tags, text FROM note WHERE file = ?", (file,))
        for row, title, tags, text in found.fetchall():
            # The tables of words keep no text: they are told what to take out.
            self._tell(database, "delete", row, title, tags, text)
            database.execute("DELETE FROM note WHERE row = ?", (row,))
            self.codes.changed(row, None)

    def _tell(
        self, database: sqlite3.Connection, what: str, row: Any, title: str, tags: str, text: str
    ) -> None:
        for table, names, values in (
            ("words", "title, tags, text", (spaced(title), spaced(tags), spaced(text))),
            ("pairs", "title, text", (pairs(f"{title} {tags}"), pairs(text))),
        ):
            if not any(values):
                continue
            marks = ", ".join("?" * len(values))
            if what:
                sql = f"INSERT INTO {table} ({table}, rowid, {names}) VALUES (?, ?, {marks})"  # noqa: S608 - names of our own
                database.execute(sql, (what, row, *values))
            else:
                sql = f"INSERT INTO {table} (rowid, {names}) VALUES (?, {marks})"  # noqa: S608 - names of our own
                database.execute(sql, (row, *values))

    def clear(self) -> None:
        """Know nothing of any file; vectors stay, for texts that come back."""
        with self.changing() as database:
            for statement in (
                "DELETE FROM note",
                "INSERT INTO words (words) VALUES ('delete-all')",
                "INSERT INTO pairs (pairs) VALUES ('delete-all')",
            ):
                database.execute(statement)
        self.codes.forget()

    def prune(self) -> None:
        """Drop the vectors of texts that no note has, and what the tables need no more."""
        with self.changing() as database:
            database.execute("DELETE FROM vector WHERE digest NOT IN (SELECT digest FROM note)")
            database.execute("INSERT INTO words (words) VALUES ('optimize')")
            database.execute("INSERT INTO pairs (pairs) VALUES ('optimize')")

    # Looking up.

    def rows(self, rows: Sequence[int]) -> dict[int, Entry]:
        """Notes by row."""
        marks = ", ".join("?" * len(rows))
        found = self.run(f"SELECT {COLUMNS} FROM note WHERE row IN ({marks})", rows)  # noqa: S608 - question marks
        return {row[0]: Entry.of(row) for row in found}

    def named(self, file: str) -> Entry | None:
        """One note by its file."""
        found = self.run(f"SELECT {COLUMNS} FROM note WHERE file = ?", (file,))  # noqa: S608 - names of our own
        return Entry.of(found[0]) if found else None

    def same(self, digest: bytes) -> str:
        """The file of a note that says the same, "" when none does."""
        found = self.run("SELECT file FROM note WHERE digest = ? LIMIT 1", (digest,))
        return str(found[0][0]) if found else ""

    def newest(self, limit: int, after: int) -> list[Entry]:
        """Notes by the time of their last change, the latest first."""
        sql = f"SELECT {COLUMNS} FROM note ORDER BY changed DESC, row DESC LIMIT ? OFFSET ?"  # noqa: S608 - names of our own
        return [Entry.of(row) for row in self.run(sql, (limit, after))]

    # Vectors.

    def without_vector(self, model: str, limit: int) -> list[tuple[bytes, str]]:
        """Texts that have no vector of this model yet: digest and text."""
        rows = self.run(
            "SELECT digest, title, tags, text FROM note WHERE NOT EXISTS (SELECT 1 FROM vector"
            " WHERE vector.digest = note.digest AND model = ?) GROUP BY digest LIMIT ?",
            (model, limit),
        )
        return [(digest, "\n".join(filter(None, said))) for digest, *said in rows]

    def take_vectors(self, model: str, vectors: Iterable[tuple[bytes, array[float]]]) -> None:
        """Keep vectors by the digests of what they are of."""
        with self.changing() as database:
            for digest, numbers in vectors:
                code = self.codes.code(numbers)
                database.execute(
                    "INSERT OR REPLACE INTO vector VALUES (?, ?, ?, ?)",
                    (digest, model, code, numbers.tobytes()),
                )
        self.codes.forget()


def _of_the_disk(failure: sqlite3.DatabaseError) -> bool:
    """Whether it is about the disk or another process, not about what stands in the file."""
    return failure.sqlite_errorcode & 0xFF in _DISK


def _empty(database: sqlite3.Connection) -> None:
    """Take out what another version has put in."""
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN"
        " ('words', 'pairs', 'note', 'vector')"
    ).fetchall()
    for (name,) in rows:
        database.execute(f"DROP TABLE IF EXISTS {name}")


def sound(path: Path, *, copied: bool = False) -> str:
    """What is wrong with an index that nobody uses (blocking), "" when nothing is.

    Changes nothing, unless it is a copy that was ``copied`` with its log.
    """
    how = "mode=rw" if copied else "immutable=1"
    try:
        database = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=1.0)
        try:
            said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            database.close()
    except sqlite3.DatabaseError as failure:
        return str(failure)
    return "" if said == "ok" else str(said)
