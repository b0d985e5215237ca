"""Reading and writing a workspace's ``CURIOSITY.md``, beside whoever else edits it; blocks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from clawd.errors import ClawdError, Refused
from clawd.storage.confine import spot_within
from clawd.storage.failures import storage_error
from clawd.storage.files import read_text_within
from clawd.storage.placing import place_file
from clawd.storage.provenance import clear, mark, source_of_path
from clawd.tools.curiosity.page import Page

FILE = "CURIOSITY.md"
FILE_BYTES = 512 * 1024
_TRIES = 3

Result = TypeVar("Result")
_Facts = tuple[int, int, int] | None


def read_page(workspace: Path) -> Page:
    """The page as it is; ``Invalid`` or ``Refused`` for what cannot be read whole."""
    return _read(workspace)[0]


def _read(workspace: Path) -> tuple[Page, str]:
    """The page, and the mark that somebody else than clawd's own scan has put on it."""
    text = read_text_within(workspace, FILE, FILE_BYTES)
    if text is not None and text.cut:
        raise Refused(
            "page_too_long",
            f"{workspace / FILE} has more than {FILE_BYTES // 1024} KiB",
            hint="delete what is done",
        )
    source, said = source_of_path(workspace / FILE, workspace), text.text if text else ""
    foreign = "" if source == _own_mark(said) else source
    return Page(said, untrusted=foreign != ""), foreign


def change_page(workspace: Path, change: Callable[[Page], Result]) -> Result:
    """Let ``change`` work on the page and write it, if that made it another.

    Begins anew when somebody saved the page meanwhile.
    """
    for _ in range(_TRIES):
        before = _facts(workspace)
        page, foreign = _read(workspace)
        was = page.render()
        result = change(page)
        if page.render() == was:
            return result
        if _facts(workspace) == before:
            _write(workspace, page, foreign)
            return result
    raise Refused(
        "page_busy", f"{workspace / FILE} changes all the time", hint="try again in a moment"
    )


def _write(workspace: Path, page: Page, foreign: str) -> None:
    text = page.render()
    outside = any(goal.untrusted for goal in page.goals)
    source = foreign or (_own_mark(text) if outside else "")

    def finish(descriptor: int) -> None:
        if not source:
            clear(workspace, descriptor)
        elif not mark(workspace, descriptor, source):
            raise ClawdError("no_mark", f"{workspace / FILE}: its origin could not be kept")

    try:
        with spot_within(workspace, FILE) as spot:
            place_file(spot, text.encode(), 0o600, finish)
    except OSError as failure:
        raise storage_error(workspace / FILE, failure) from failure


def _own_mark(text: str) -> str:
    """The mark of a page whose own lines say which of them came from outside.

    It holds for this text alone: a page that a turn wrote, or anybody else, has another.
    """
    return f"the page of curiosity {hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _facts(workspace: Path) -> _Facts:
    try:
        facts = os.stat(workspace / FILE)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
