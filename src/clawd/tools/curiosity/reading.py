"""Reading what a session knows: two identity files and its notes, within bounds; blocks."""

from __future__ import annotations

import os
import re
from heapq import nlargest
from itertools import islice
from pathlib import Path

from clawd.errors import ClawdError
from clawd.storage.files import read_text_within
from clawd.storage.provenance import source_of_path
from clawd.storage.workspace import MARKS, NOTES
from clawd.tools.curiosity.finding import Finding, findings

IDENTITY = (("USER.md", 0.15), ("MEMORY.md", 0.1))
"""The files that are always read, and how much more they count."""
FILE_BYTES = 64 * 1024
MOST_NOTES = 500
"""How many notes are read: those changed last."""
TOTAL_BYTES = 2 * 1024 * 1024
_LISTED = 20_000

_OUTSIDE = re.compile(r"\A---\n(?:.*\n){0,100}?origin:\s*[\"']?untrusted\b", re.IGNORECASE)

_Facts = tuple[int, int, int]


class Reading:
    """The findings of one workspace; files that are as they were are not read again."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._known: dict[str, tuple[_Facts, list[Finding]]] = {}
        self._marks: _Facts | None = None

    def findings(self) -> list[Finding]:
        """What is open in the files as they are now."""
        if (marks := _facts(self._workspace / MARKS)) != self._marks:
            self._marks = marks
            self._known.clear()
        wanted = [*IDENTITY, *((f"{NOTES}/{name}", 0.0) for name in self._notes())]
        known: dict[str, tuple[_Facts, list[Finding]]] = {}
        left = TOTAL_BYTES
        for name, bonus in wanted:
            facts = _facts(self._workspace / name)
            if facts is None or left <= 0:
                continue
            left -= min(facts[1], FILE_BYTES)
            before = self._known.get(name)
            known[name] = (
                before
                if before is not None and before[0] == facts
                else (facts, self._read(name, bonus))
            )
        self._known = known
        return [finding for _, found in known.values() for finding in found]

    def _notes(self) -> list[str]:
        try:
            with os.scandir(self._workspace / NOTES) as entries:
                times = [
                    (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                    for entry in islice(entries, _LISTED)
                    if entry.name.endswith(".md") and not entry.name.startswith(".")
                ]
        except OSError:
            return []
        return [name for _, name in nlargest(MOST_NOTES, times)]

    def _read(self, name: str, bonus: float) -> list[Finding]:
        try:
            text = read_text_within(self._workspace, name, FILE_BYTES)
        except ClawdError:
            # Whoever else reads it says what is wrong with it.
            return []
        if text is None:
            return []
        marked = source_of_path(self._workspace / name, self._workspace) != ""
        outside = marked or _OUTSIDE.match(text.text) is not None
        return findings(text.text, name, bonus=bonus, untrusted=outside)


def _facts(path: Path) -> _Facts | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    # The attribute that marks a file changes its ctime alone.
    return facts.st_mtime_ns ^ facts.st_ctime_ns, facts.st_size, facts.st_ino
