"""A note as the index gives it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COLUMNS = "row, file, title, tags, text, created, updated, changed, untrusted, source, line"
"""What ``Entry.of`` takes a row of, in SQL."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A note as the index knows it; ``changed`` is ``updated`` in seconds."""

    row: int
    file: str
    title: str
    tags: str
    text: str
    created: str
    updated: str
    changed: float
    untrusted: bool
    source: str
    line: int

    @classmethod
    def of(cls, row: Row) -> Entry:
        """The note in a row of ``COLUMNS``."""
        return cls(*(*row[:8], bool(row[8]), *row[9:]))

    @property
    def id(self) -> str:
        """The note's id."""
        return self.file.removesuffix(".md")
