"""What was typed, per session, in a file that its owner alone can read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

from clawd.config.reading import read_regular

KEPT = 1000


class SessionHistory(History):
    """The lines typed to one session: JSON strings one a line in ``state/history/<session>``."""

    def __init__(self, home: Path, session: str) -> None:
        super().__init__()
        self.path = home / "state" / "history" / session

    def load_history_strings(self) -> Iterable[str]:
        """The newest line first; a damaged line is passed over."""
        try:
            rows = read_regular(self.path).split(b"\n")
        except OSError:
            return []
        found = []
        for row in rows[-KEPT - 1 :]:
            try:
                text = json.loads(row)
            except ValueError:
                continue
            if isinstance(text, str):
                found.append(text)
        return reversed(found)

    def store_string(self, string: str) -> None:
        """Add a line; a disk that refuses costs the history, never the line."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(handle, "wb") as file:
                file.write(json.dumps(string).encode() + b"\n")
        except OSError:
            return
