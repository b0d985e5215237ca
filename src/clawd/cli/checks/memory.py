"""Whether notes can be searched: what this Python's SQLite was built with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from clawd.cli.checks.check import Check
from clawd.config.schema import Config


def memory(config: Config) -> Iterator[Check]:
    """Full-text search, where a session has notes."""
    if not any(session.tools.memory for session in config.sessions.values()):
        return
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE VIRTUAL TABLE words USING fts5 (text, content = '')")
    except sqlite3.OperationalError as failure:
        mend = "use a Python whose sqlite3 has FTS5, or set tools.memory to false"
        yield Check("memory", "error", f"notes cannot be searched: {failure}", mend)
    else:
        yield Check("memory", "ok", f"SQLite {sqlite3.sqlite_version} with full-text search")
    finally:
        database.close()
