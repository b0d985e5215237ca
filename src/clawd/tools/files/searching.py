"""Lines of files in which a text, or what fits a regular expression, is found."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from clawd.errors import ClawdError, Invalid
from clawd.storage.confine import READ
from clawd.storage.provenance import source_of
from clawd.tools.files.ground import Ground, Opened
from clawd.tools.files.kinds import LOOKED_AT, binary_kind
from clawd.tools.files.listing import fits
from clawd.tools.files.reading import read_whole
from clawd.tools.files.refusals import check_regular, shown
from clawd.tools.files.walking import Walk

MAX_QUERY = 1000
MAX_FILE = 4 * 2**20
"""Bytes of a file that is searched; larger ones are counted."""
MAX_BYTES = 256 * 2**20
"""Bytes that one search reads."""
MAX_SEEN = 4000
"""Characters of a line that a regular expression is tried on."""
MAX_SHOWN = 300
"""Characters of a found line that are shown."""

Matcher = Callable[[str, float], bool]
"""Whether a line fits, in at most so many seconds; ``TimeoutError``."""


@dataclass(frozen=True, slots=True)
class Found:
    """``lines`` to show as ``path:line: text``, and what there is to say of the search.

    ``sources`` are those of shown lines that come from outside, by path.
    """

    lines: list[str]
    files: int
    passed_over: int
    sources: dict[str, str]
    stopped: str


def search(ground: Ground, matcher: Matcher, path: str, pattern: str | None, limit: int) -> Found:
    """The first ``limit`` lines that fit, in files whose name or path fits ``pattern``."""
    walk = Walk()
    lines: list[str] = []
    sources: dict[str, str] = {}
    looked = passed_over = read = 0
    for file in _files(ground, walk, path, pattern):
        if isinstance(file, ClawdError) or file.status.st_size > MAX_FILE:
            passed_over += 1
            continue
        read += file.status.st_size
        if read > MAX_BYTES:
            walk.stopped = f"stopped after {MAX_BYTES >> 20} MiB"
            break
        data = read_whole(file, MAX_FILE)
        if binary_kind(data[:LOOKED_AT]):
            passed_over += 1
            continue
        looked += 1
        before = len(lines)
        try:
            for number, line in enumerate(data.split(b"\n"), 1):
                text = line.decode(errors="replace")
                if not matcher(text, max(walk.ends_at - time.monotonic(), 0.001)):
                    continue
                if len(lines) == limit:
                    walk.stopped = f"stopped at {limit} lines"
                    break
                lines.append(f"{shown(file.path)}:{number}: {_shown(text)}")
        except TimeoutError:
            walk.over()
            walk.stopped = walk.stopped or "stopped: a line took too long"
        if len(lines) > before and file.source:
            sources[file.path] = file.source
        if walk.stopped:
            break
    return Found(lines, looked, passed_over, sources, walk.stopped)


def matcher_for(query: str, *, regex: bool, ignore_case: bool) -> Matcher:
    """What tells whether a line fits; ``Invalid`` for a pattern that cannot be understood."""
    if not query or len(query) > MAX_QUERY or "\n" in query:
        raise Invalid(
            "invalid_query",
            f"a query has 1 to {MAX_QUERY} characters and no line end",
            hint="lines are searched one by one",
        )
    if regex:
        return _expression(query, ignore_case=ignore_case)
    if ignore_case:
        folded = query.casefold()
        return lambda line, _: folded in line.casefold()
    return lambda line, _: query in line


def _expression(query: str, *, ignore_case: bool) -> Matcher:
    # Not the standard library's `re`: a pattern such as (a|aa)+$ keeps it busy for years, and
    # everybody else waits. This one gives up after a time and lets other threads run meanwhile.
    # Loaded by the first who needs it.
    engine: Any = importlib.import_module("regex")
    try:
        compiled = engine.compile(query, engine.IGNORECASE if ignore_case else 0)
    except (engine.error, RecursionError, OverflowError, MemoryError) as failure:
        raise Invalid(
            "invalid_pattern",
            f"the regular expression cannot be read: {failure}",
            hint="leave regex out to search for the text as it stands",
        ) from None
    return lambda line, seconds: (
        compiled.search(line[:MAX_SEEN], timeout=seconds, concurrent=True) is not None
    )


def _files(
    ground: Ground, walk: Walk, path: str, pattern: str | None
) -> Iterator[Opened | ClawdError]:
    """The files to look into, open one at a time; an error for one that cannot be read."""
    if not ground.is_folder(path):
        with ground.reading(path) as file:
            yield file
        return
    wanted = pattern.split("/") if pattern else []
    for met in walk.files(ground, path):
        parts = met.below.split("/")
        if wanted and not fits(parts if len(wanted) > 1 else parts[-1:], wanted):
            continue
        if not met.entry.is_file(follow_symlinks=False):
            continue
        try:
            descriptor = os.open(met.entry.name, READ | os.O_NOFOLLOW, dir_fd=met.folder)
        except OSError as failure:
            yield ClawdError("file_failed", str(failure))
            continue
        try:
            status = os.fstat(descriptor)
            check_regular(met.path, status)
            yield Opened(met.path, descriptor, status, source_of(ground.root, descriptor))
        except ClawdError as error:
            yield error
        finally:
            os.close(descriptor)


def _shown(line: str) -> str:
    """A found line as one line of the answer."""
    line = line.strip()
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}…"
