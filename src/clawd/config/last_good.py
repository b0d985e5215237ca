"""The last configuration that was in force, for a start on a broken file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Write = Callable[[Path, bytes], object]
"""Puts a whole file in place of another, mode 0600: `clawd.storage.files.atomic_write`."""


def last_good_file(home: Path) -> Path:
    """Where the copy is."""
    return home / "state" / "config.last-good.json"


def save_last_good(home: Path, text: str, write: Write) -> None:
    """Keep the text of a configuration that was checked and is in force. Blocks on the disk."""
    write(last_good_file(home), text.encode())


def load_last_good(home: Path) -> str | None:
    """The text that was kept, still to be checked; None when there is none that can be read."""
    try:
        return last_good_file(home).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
