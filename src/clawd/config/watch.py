"""Which of the operator's files were edited.

Folders are watched, not files: an editor that saves by replacing a file would take a watch on
the file away with it. Beside the system's notices the state of the files is compared once a
second, so that an edit is also seen when its notice was missed: while folders were added, in a
folder that came later, behind a symbolic link, or where the system gives no notices at all.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

from watchfiles import Change, watch

NAMES = frozenset({"config.json", "IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md"})
"""The names of the files that matter; everything else in a watched folder is left unseen."""

_TICK = 1.0
"""Seconds between two comparisons, as long as the folders are not too many for that."""
_SECONDS_PER_FOLDER = 0.003
"""What comparing a folder costs, a hundred times over."""
_QUIET_MILLISECONDS = 100
_LONGEST_MILLISECONDS = 400

_State = tuple[int, int, int] | None


class FolderWatch:
    """A set of folders that may grow and shrink while it is watched; none needs to exist.

    An edit counts from the moment when its folder was added.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._states: dict[Path, dict[str, _State]] = {}
        self._fresh: set[Path] = set()
        for folder in folders:
            self.add(folder)

    def add(self, folder: Path) -> None:
        """Watch one more folder (not what is in folders inside it)."""
        if folder not in self._states:
            self._states[folder] = _look(folder)
            # Until the system's watches are set anew it is compared at every tick.
            self._fresh.add(folder)

    def remove(self, folder: Path) -> None:
        """Stop watching a folder."""
        self._states.pop(folder, None)
        self._fresh.discard(folder)

    async def changes(self, stop: asyncio.Event) -> AsyncGenerator[set[Path], None]:
        """The files that were written, made or removed, as one set for each burst of edits.

        Ends soon after ``stop`` is set. One iteration at a time.
        """
        while not stop.is_set():
            self._fresh.clear()
            compared = ticked = time.monotonic()
            present = await asyncio.to_thread(_identities, tuple(self._states))
            changed = await self._differences(tuple(self._states))
            if changed:
                yield changed
            if stop.is_set():
                return
            try:
                notices = _notices(present, stop)
                async with aclosing(notices):
                    async for noticed in notices:
                        paths = (Path(text) for _, text in noticed)
                        changed = {
                            path
                            for path in paths
                            if path.name in NAMES and path.parent in self._states
                        }
                        # The daemon's own logs stand in these folders too: what is written there
                        # all the time must neither cost a comparison each nor put it off.
                        looked = {path.parent for path in changed}
                        if (moment := time.monotonic()) - ticked >= _TICK:
                            looked |= self._fresh
                            ticked = moment
                        whole = moment - compared >= self._interval()
                        if whole:
                            looked = set(self._states)
                        changed |= await self._differences(tuple(looked))
                        if changed:
                            yield changed
                        if whole:
                            compared = moment
                            if await asyncio.to_thread(_identities, tuple(self._states)) != present:
                                break
            except OSError:
                # A folder vanished meanwhile, or the system has no more watches to give.
                await _pause(stop, self._interval())

    def _interval(self) -> float:
        """Seconds between two comparisons of everything: a small part of a core at most."""
        return max(_TICK, len(self._states) * _SECONDS_PER_FOLDER)

    async def _differences(self, folders: tuple[Path, ...]) -> set[Path]:
        """The files whose state is not the one last seen, which is then taken as seen."""
        if not folders:
            return set()
        found = await asyncio.to_thread(lambda: {folder: _look(folder) for folder in folders})
        changed: set[Path] = set()
        for folder, states in found.items():
            before = self._states.get(folder)
            if before is None:
                continue
            changed |= {folder / name for name in NAMES if states[name] != before[name]}
            self._states[folder] = states
        return changed


async def changes(folders: Iterable[Path], stop: asyncio.Event) -> AsyncGenerator[set[Path], None]:
    """`FolderWatch.changes` for folders that stay the same."""
    async with aclosing(FolderWatch(folders).changes(stop)) as edits:
        async for changed in edits:
            yield changed


class _Either:
    """Set when it is set itself, or another is. The watching thread asks it."""

    def __init__(self, other: asyncio.Event) -> None:
        self._other = other
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set or self._other.is_set()


async def _notices(
    folders: Iterable[Path], stop: asyncio.Event
) -> AsyncGenerator[set[tuple[Change, str]], None]:
    """What the system tells of the folders, an empty set at each tick without a notice.

    Setting the watches takes as long as there are folders, so all of it happens on a thread.
    """
    ended = _Either(stop)
    notices = watch(
        *folders,
        watch_filter=None,
        debounce=_LONGEST_MILLISECONDS,
        step=_QUIET_MILLISECONDS,
        stop_event=ended,
        rust_timeout=int(_TICK * 1000),
        yield_on_timeout=True,
        raise_interrupt=False,
        recursive=False,
        ignore_permission_denied=True,
    )
    loop = asyncio.get_running_loop()
    try:
        while True:
            waiting = loop.run_in_executor(None, next, notices, None)
            try:
                noticed = await asyncio.shield(waiting)
            except asyncio.CancelledError:
                ended.set()
                await waiting
                raise
            if noticed is None:
                return
            yield noticed
    finally:
        await asyncio.to_thread(notices.close)


async def _pause(sooner: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await sooner.wait()
    except TimeoutError:
        pass


def _look(folder: Path) -> dict[str, _State]:
    states: dict[str, _State] = {}
    for name in NAMES:
        try:
            found = os.stat(folder / name)
            states[name] = (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError:
            states[name] = None
    return states


def _identities(folders: tuple[Path, ...]) -> dict[Path, int]:
    """The folders that are there, each with what tells it from a later one of the same name."""
    found: dict[Path, int] = {}
    for folder in folders:
        try:
            if folder.is_dir():
                found[folder] = folder.stat().st_ino
        except OSError:
            continue
    return found
