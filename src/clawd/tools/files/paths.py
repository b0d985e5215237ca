"""The path that a model writes, made relative to the workspace or refused by its letters."""

from __future__ import annotations

import os
import re
from pathlib import Path

from clawd.errors import Invalid
from clawd.tools.files.refusals import outside, shown

MAX_PATH = 1024
"""Characters of a path."""
MAX_FOLDERS = 64
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def relative(path: str, workspace: Path) -> str:
    """The path as it is used beneath the workspace, "." for the workspace itself.

    ``Invalid`` and ``Refused`` for what no system needs to be asked about.
    """
    if not path:
        raise Invalid("invalid_path", "the path is empty", hint="name a file, such as notes.md")
    if len(path) > MAX_PATH or path.count("/") > MAX_FOLDERS:
        raise Invalid(
            "invalid_path",
            f"{shown(path[:60])}… has {len(path)} characters and {path.count('/')} folders; "
            f"the limits are {MAX_PATH} and {MAX_FOLDERS}",
            hint="use a shorter path",
        )
    try:
        path.encode()
    except UnicodeEncodeError:
        raise _unusable(path, "half a character (a lone surrogate)") from None
    if found := _HIDDEN.search(path):
        raise _unusable(path, f"the invisible character U+{ord(found[0]):04X}")
    if "\\" in path:
        raise _unusable(path, "a backslash; folders are parted by /")
    if path.startswith("~"):
        raise outside(path)
    inside = _beneath(path, workspace) if path.startswith("/") else path
    if os.path.normpath(inside).split("/")[0] == "..":
        raise outside(path)
    return inside


def _beneath(path: str, workspace: Path) -> str:
    """An absolute path relative to the workspace, by its letters."""
    for root in (os.fspath(workspace), os.path.realpath(workspace)):
        if path == root or path.startswith(f"{root}/"):
            return path[len(root) :].lstrip("/") or "."
    raise outside(path)


def _unusable(path: str, why: str) -> Invalid:
    return Invalid(
        "invalid_path", f"{shown(path[:200])} has {why}", hint="use a plain relative path"
    )
