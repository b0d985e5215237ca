"""The last configuration that was in force, for a start on a broken file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clawd.config.literals import with_literals, without_literals
from clawd.config.reading import read_regular

Write = Callable[[Path, bytes], object]
"""Puts a whole file in place of another, mode 0600: `clawd.storage.files.atomic_write`."""


_KEY_BYTES = 32


def last_good_file(home: Path) -> Path:
    """Where the copy is."""
    return home / "state" / "config.last-good.json"


def save_last_good(home: Path, text: str, content: Any, write: Write) -> None:
    """Keep a configuration that was checked and is in force. Blocks on the disk.

    ``content`` is the value that the text describes. Keys that stand in it are scrambled with
    what is in ``state/config.key``.
    """
    key = _key(home)
    if len(key) != _KEY_BYTES:
        key = os.urandom(_KEY_BYTES)
        write(_key_file(home), key)
    write(last_good_file(home), without_literals(text, content, key).encode())


def load_last_good(home: Path) -> str | None:
    """The text that was kept, still to be checked; None when there is none that can be read."""
    try:
        return with_literals(read_regular(last_good_file(home)).decode(), _key(home))
    except (OSError, UnicodeDecodeError):
        return None


def _key_file(home: Path) -> Path:
    return home / "state" / "config.key"


def _key(home: Path) -> bytes:
    try:
        return read_regular(_key_file(home))
    except OSError:
        return b""
