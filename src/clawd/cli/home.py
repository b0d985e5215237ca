"""Where a home is, and where its daemon listens."""

from __future__ import annotations

import os
from pathlib import Path

from clawd.config.reading import read_regular


def home_folder(option: str | None) -> Path:
    """The home that applies: ``--home``, ``$CLAWD_HOME``, a folder with a config.json, ~/.clawd."""
    chosen = option or os.environ.get("CLAWD_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    here = Path.cwd()
    return here if (here / "config.json").is_file() else Path.home() / ".clawd"


def socket_path(home: Path) -> Path:
    """The daemon's socket: ``state/clawd.sock``, or the path that ``state/socket`` holds."""
    try:
        named = read_regular(home / "state" / "socket").decode().strip()
    except (OSError, UnicodeDecodeError):
        named = ""
    return Path(named) if named else home / "state" / "clawd.sock"
