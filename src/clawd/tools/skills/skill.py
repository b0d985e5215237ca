"""A skill on disk: where it is, what its head says, and its files, confined to its folder."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from clawd.errors import ClawdError, Invalid, NotFound
from clawd.fences import escaped
from clawd.nearest import nearest
from clawd.storage.files import Text, read_text_within
from clawd.storage.provenance import source_of_path
from clawd.tools.skills.header import HEAD_BYTES, BrokenHeader, Header, read_header, split

MAIN = ("SKILL.md", "skill.md")
FILE_BYTES = 256 * 1024
"""How much of one file is read."""
FILES_LISTED = 100

Where = Literal["workspace", "home"]


@dataclass(frozen=True, slots=True)
class Skill:
    """A folder with a ``SKILL.md`` that can be used.

    A workspace may be written by its session: its links are held inside it. The home's ``skills``
    are the operator's, who may link a folder from elsewhere.
    """

    name: str
    where: Where
    root: Path
    """What no file of it may lead out of."""
    inside: str
    """Its folder, relative to ``root``; "." for the root itself."""
    header: Header
    untrusted: bool = False
    linked: bool = False
    """Whether the operator linked it from elsewhere: the sandbox does not show it to commands."""

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.root / self.inside

    def read(self, file: str = "") -> Text:
        """A file of it, ``SKILL.md`` unless one is named (blocking); cut at 256 KiB.

        ``Invalid`` for what leads out of the folder or is no text, ``NotFound`` names the nearest.
        """
        for name in (_within(file),) if file else MAIN:
            if found := read_text_within(self.root, posixpath.join(self.inside, name), FILE_BYTES):
                return found
        files = list(self.files())
        near = nearest(file, files)
        raise NotFound(
            "skill_file_not_found",
            f"the skill {self.name} has no file {file[:200]!a}",
            hint=f"did you mean {near}?" if near else f"files: {', '.join(files[:20]) or 'none'}",
        )

    def body(self) -> Text:
        """The instructions, without the head (blocking)."""
        found = self.read()
        try:
            return replace(found, text=split(found.text)[1])
        except BrokenHeader:
            # Saved anew since it was found: whatever it is now, it is shown as it stands.
            return found

    def marked(self, file: str = "") -> bool:
        """Whether a file was written by a turn that had read text from outside (blocking)."""
        names = (_within(file),) if file else MAIN
        return any(source_of_path(self.folder / name, self.root) for name in names)

    def files(self) -> Iterator[str]:
        """The files in its folder besides ``SKILL.md``, at most 100 of as many folders."""
        return islice(self._walk(), FILES_LISTED)

    def _walk(self) -> Iterator[str]:
        for path, folders, names in islice(os.walk(self.folder), FILES_LISTED):
            at = os.path.relpath(path, self.folder)
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__pycache__")))
            for name in sorted(names):
                if not name.startswith(".") and not (at == "." and name in MAIN):
                    yield escaped(name if at == "." else f"{at}/{name}", "")


def read_skill(name: str, where: Where, root: Path, inside: str) -> Skill:
    """The skill in a folder (blocking); ``Invalid`` says in one line why there is none."""
    folder = root / inside
    try:
        for main in MAIN:
            text = read_text_within(root, posixpath.join(inside, main), HEAD_BYTES + FILE_BYTES)
            if text is not None:
                break
        else:
            raise BrokenHeader("there is no SKILL.md")
        head, _ = split(text.text)
        header = read_header(head, name)
    except BrokenHeader as broken:
        raise Invalid(
            "broken_skill",
            f"{folder / 'SKILL.md'}: {broken}",
            hint="mend it, or check it with: clawd skills list",
        ) from None
    except ClawdError as failure:
        raise Invalid("broken_skill", failure.message, hint=failure.hint) from None
    return Skill(name, where, root, inside, header, source_of_path(folder / main, root) != "")


def _within(file: str) -> str:
    plain = posixpath.normpath(file)
    if plain.startswith(("/", "..")) or "\0" in file:
        raise Invalid(
            "outside_skill",
            f"{file[:200]!a} is not inside the skill's folder",
            hint="give a path such as references/forms.md",
        )
    return plain
