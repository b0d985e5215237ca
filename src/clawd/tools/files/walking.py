"""Going through the folders of a workspace, one after another, without following a link."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from clawd.storage.beneath import FOLDER
from clawd.storage.workspace import is_daemons_name
from clawd.tools.files.ground import Ground

MAX_ENTRIES = 100_000
"""Files and folders that one walk looks at."""
MAX_DEPTH = 64
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Met:
    """A file that a walk came to: its path in the workspace, and below where the walk began.

    ``folder`` is open until the walk goes on.
    """

    path: str
    below: str
    folder: int
    entry: os.DirEntry[str]


@dataclass(slots=True)
class Walk:
    """How far a walk may go; ``stopped`` says why it ended before its end, "" when it did not."""

    ends_at: float = field(default_factory=lambda: time.monotonic() + SECONDS)
    left: int = MAX_ENTRIES
    stopped: str = ""

    def over(self) -> bool:
        """Whether it has to stop here."""
        if time.monotonic() > self.ends_at:
            self.stopped = f"stopped after {SECONDS:g} s"
        return bool(self.stopped)

    def files(self, ground: Ground, path: str) -> Iterator[Met]:
        """The files below a folder, sorted by name within each.

        What the daemon keeps at the top of the workspace is left out, unless ``path`` is in it.
        """
        start = "/".join(part for part in ground.relative(path).split("/") if part not in ("", "."))
        with ground.folder(path) as folder:
            at_top = os.path.samestat(os.fstat(folder), os.stat(ground.root))
            yield from self._below(folder, f"{start}/" if start else "", "", at_top=at_top)

    def _below(self, folder: int, start: str, prefix: str, *, at_top: bool) -> Iterator[Met]:
        for entry in self._entries(folder):
            if self.over():
                return
            if at_top and is_daemons_name(entry.name):
                continue
            below = prefix + entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield Met(start + below, below, folder, entry)
                continue
            if below.count("/") == MAX_DEPTH:
                self.stopped = f"stopped at a folder deeper than {MAX_DEPTH}"
                return
            try:
                opened = os.open(entry.name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError:
                # Gone by now, or nobody may read it: there is nothing to show.
                continue
            try:
                yield from self._below(opened, start, f"{below}/", at_top=False)
            finally:
                os.close(opened)

    def _entries(self, folder: int) -> list[os.DirEntry[str]]:
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self.left -= 1
                if self.left < 0:
                    self.stopped = f"stopped after {MAX_ENTRIES:,} files and folders"
                    break
                found.append(entry)
        return sorted(found, key=lambda entry: entry.name)
