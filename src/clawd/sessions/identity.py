"""Who a session is: its identity files, read into a frozen value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clawd.config.schema import IdentityLimits
from clawd.errors import ClawdError
from clawd.storage.files import read_text_within

FILES = ("IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md")

Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class IdentityFile:
    """One file as it enters the prompt; ``problem`` says in a line why it is cut or missing."""

    name: str
    text: str
    size: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a session at one moment."""

    files: tuple[IdentityFile, ...]
    signature: Signature
    limits: IdentityLimits

    def prompt(self) -> list[tuple[str, str]]:
        """The parts of the system prompt, in order: heading and text, without the empty ones.

        What is cut or cannot be read says so in its place.
        """
        parts = []
        for file in self.files:
            problem = f"[clawd: {file.problem}]" if file.problem else ""
            text = "\n\n".join(part for part in (file.text.strip(), problem) if part)
            if text:
                parts.append((file.name.removesuffix(".md"), text))
        return parts

    def problems(self) -> list[str]:
        """What the operator should know of the files."""
        return [file.problem for file in self.files if file.problem]


def signature(workspace: Path) -> Signature:
    """What tells whether any identity file has changed: time, size and inode of each."""
    seen: list[tuple[int, int, int] | None] = []
    folder = str(workspace)
    for name in FILES:
        try:
            status = os.stat(f"{folder}/{name}")
        except OSError:
            seen.append(None)
        else:
            seen.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(seen)


def read_identity(workspace: Path, limits: IdentityLimits) -> Identity:
    """Read the files (blocking). A file that cannot be read is a problem, never an error."""
    taken = signature(workspace)
    left = limits.total_bytes
    files = []
    for name in FILES:
        file = _read(workspace, name, limits.file_bytes, left)
        left -= len(file.text.encode())
        files.append(file)
    return Identity(tuple(files), taken, limits)


def _read(workspace: Path, name: str, per_file: int, left: int) -> IdentityFile:
    limit, key = min((per_file, "identity.fileBytes"), (max(0, left), "identity.totalBytes"))
    try:
        found = read_text_within(workspace, name, limit)
    except ClawdError as error:
        why = "; ".join(part for part in (error.message, error.hint) if part)
        return IdentityFile(name, "", 0, why)
    if found is None:
        return IdentityFile(name, "", 0)
    problems = []
    if found.cut:
        problems.append(
            f"{name} has {found.size} bytes and is cut to {limit}; shorten it or raise {key}"
        )
    text, nul, _ = found.text.partition("\0")
    if nul:
        # An endpoint may refuse it, with every request of the session.
        at = f"{name} has a NUL character at byte {len(text.encode())} and is cut there"
        problems.append(f"{at}; save it as plain text in UTF-8")
    return IdentityFile(name, text, found.size, "; ".join(problems))
