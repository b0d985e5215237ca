"""The example workspaces as they were shipped: no line of a home that stands in the same place."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

from clawd.environment import child_environment

SESSIONS = ("coder", "default", "researcher")
FILES = ("IDENTITY.md", "MEMORY.md", "SOUL.md", "USER.md")
GIT_SECONDS = 10.0

Workspaces = dict[str, dict[str, str]]
"""The text of each file, by session and name."""


def example_workspaces(root: Path) -> Workspaces:
    """What ships with clawd, read below ``root``: the folder with ``config.example.json``.

    A clone may be somebody's home, whose files are theirs. There git says what they were. A tree
    without git is taken as it is, unless it is a home: then there are no examples.
    """
    committed = _committed(root)
    if committed or (root / "config.json").exists():
        return committed
    found: Workspaces = {}
    for session in SESSIONS:
        for name in FILES:
            path = root / "workspaces" / session / name
            if path.is_file():
                found.setdefault(session, {})[name] = path.read_text(encoding="utf-8")
    return found


def _committed(root: Path) -> Workspaces:
    """The files as git has them; nothing where there is no git, or it knows none."""
    if not (root / ".git").exists():
        return {}
    line = ["git", "-C", str(root), "archive", "--format=tar", "HEAD", "workspaces"]
    environment = child_environment(os.environ)
    try:
        ended = subprocess.run(
            line, capture_output=True, check=True, timeout=GIT_SECONDS, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    found: Workspaces = {}
    with tarfile.open(fileobj=io.BytesIO(ended.stdout)) as archive:
        for member in archive:
            _, _, rest = member.name.partition("/")
            session, _, name = rest.partition("/")
            if session in SESSIONS and name in FILES and (file := archive.extractfile(member)):
                found.setdefault(session, {})[name] = file.read().decode("utf-8")
    return found
