"""The workspace as the file tools may use it: what can be opened, what can be changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clawd.errors import Invalid, NotFound, Refused
from clawd.nearest import nearest
from clawd.storage.beneath import FOLDER
from clawd.storage.confine import READ, Spot, open_within, spot_within
from clawd.storage.provenance import source_of
from clawd.storage.workspace import NOTES, RESULTS, TRASH, daemons_own, identity_at, identity_file
from clawd.tools.files.paths import relative
from clawd.tools.files.refusals import check_regular, daemons, explained, shown

_OF_OTHERS = "what clawd keeps of others"
"""Mail, transcripts, logs: nobody can tell what in them is from outside."""
_MARKED_ONE_BY_ONE = ("", RESULTS, TRASH, NOTES)


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file, open for reading; ``source`` is where its text comes from, "" for inside."""

    path: str
    descriptor: int
    status: os.stat_result
    source: str


@dataclass(frozen=True, slots=True)
class Ground:
    """A workspace, the identity files that its session may write, and the lock of its changes.

    Everything here blocks.
    """

    root: Path
    identity: Sequence[str]
    changing: threading.Lock

    def relative(self, path: str) -> str:
        """The path that a model wrote, relative to the workspace; refused by its letters."""
        return relative(path, self.root)

    @contextmanager
    def reading(self, path: str) -> Iterator[Opened]:
        """A regular file for reading; never waits for anything but the disk."""
        name = relative(path, self.root)
        try:
            descriptor = open_within(self.root, name, READ)
        except OSError as failure:
            if isinstance(failure, FileNotFoundError):
                raise self._missing(path, name) from None
            raise explained(path, failure) from None
        try:
            status = os.fstat(descriptor)
            check_regular(path, status)
            yield Opened(path, descriptor, status, self._source(name, descriptor))
        finally:
            os.close(descriptor)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A folder for looking into."""
        name = relative(path, self.root)
        try:
            descriptor = open_within(self.root, name, FOLDER)
        except OSError as failure:
            raise explained(path, failure) from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def is_folder(self, path: str) -> bool:
        """Whether the path leads to a folder inside; false for what is not there."""
        with suppress(OSError):
            descriptor = open_within(self.root, relative(path, self.root), FOLDER)
            os.close(descriptor)
            return True
        return False

    @contextmanager
    def changing_at(self, path: str, *, make: bool = False, follow: bool = True) -> Iterator[Spot]:
        """The place of a file that is about to be written or deleted, if it may be.

        With ``make`` missing folders are made. Changes of one workspace wait for each other.
        """
        name = relative(path, self.root)
        if os.path.normpath(name) == ".":
            raise Invalid("is_a_folder", f"{shown(path)} is the workspace", hint="name a file")
        try:
            with (
                self.changing,
                spot_within(
                    self.root,
                    name,
                    may_make=(lambda above: self._check_folder(path, above)) if make else None,
                    follow=follow,
                ) as spot,
            ):
                self._check_own(path, spot)
                self._check_identity(path, name, spot)
                yield spot
        except OSError as failure:
            raise explained(path, failure) from None

    def _check_own(self, path: str, spot: Spot) -> None:
        if daemons_own(self.root, spot.folder, spot.name):
            raise daemons(path)

    def _check_folder(self, path: str, spot: Spot) -> None:
        self._check_own(path, spot)
        if identity := identity_at(self.root, spot.folder, spot.name):
            raise Refused("identity_file", f"{identity} in {shown(path)} is a file, not a folder")

    def _check_identity(self, path: str, name: str, spot: Spot) -> None:
        identity = identity_at(self.root, spot.folder, spot.name)
        if not identity:
            return
        if identity not in self.identity:
            may = ", ".join(self.identity) or "none"
            also = "" if path == identity else f"{shown(path)} is {identity}: "
            raise Refused(
                "identity_file",
                f"{also}this session may not write its {identity}",
                hint=f"tools.identity in config.json says which ones it may write: {may}",
            )
        if identity_file(name) != identity:
            # Rules about identity files look at the name that is called: it has to be this one.
            raise Refused(
                "identity_file",
                f"{shown(path)} is {identity} by another name",
                hint=f"write {identity} itself",
            )

    def _source(self, name: str, descriptor: int) -> str:
        if source := source_of(self.root, descriptor):
            return source
        with suppress(OSError), spot_within(self.root, name) as spot:
            if daemons_own(self.root, spot.folder, spot.name) not in _MARKED_ONE_BY_ONE:
                return _OF_OTHERS
        return ""

    def _missing(self, path: str, name: str) -> NotFound:
        """There is no such file; perhaps there is one of a similar name in its folder."""
        parent, last = os.path.split(name.rstrip("/"))
        near = ""
        with suppress(OSError):
            descriptor = open_within(self.root, parent or ".", FOLDER)
            try:
                with os.scandir(descriptor) as entries:
                    known = [e.name for _, e in zip(range(1000), entries, strict=False)]
            finally:
                os.close(descriptor)
            near = nearest(last, known)
        hint = f"did you mean {shown(os.path.join(parent, near))}?" if near else ""
        return NotFound(
            "file_not_found",
            f"there is no {shown(path)}",
            hint=hint or "list_dir and find_files show what there is",
        )
