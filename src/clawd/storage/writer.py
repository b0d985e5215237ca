"""The one thread that writes the logs of a home, and the group commit.

Callers wait on the event loop while the thread writes. All that waits at a moment goes out
together, with one write and one fdatasync for each file, so that a hundred writers cost hardly
more than one. Where they write to many files, these are brought to disk at the same time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from clawd.errors import StorageError
from clawd.storage.appending import AppendFiles, NotWritten, Written, sync
from clawd.storage.failures import FULL, check_length, storage_error
from clawd.storage.files import replace_file
from clawd.storage.outcomes import Settled, own, settle

MAX_LINE_BYTES = 2 * 2**20
"""The longest line that is stored, its LF included."""

_REPAIR_SECONDS = 1.0
_HELPERS = 8
_WORTH_THREADS = 4
"""Files to sync from which handing them to other threads is worth its price."""

Result = TypeVar("Result")


class _Append:
    __slots__ = ("data", "done", "path", "sync")

    def __init__(self, path: str, data: bytes, done: asyncio.Future[None], sync: bool) -> None:
        self.path = path
        self.data = data
        self.done = done
        self.sync = sync


class _Call:
    """Something to do on the thread, after all that was asked for before about the same path."""

    __slots__ = ("done", "path", "work")

    def __init__(
        self,
        path: str,
        work: Callable[[], Any],
        done: asyncio.Future[Any] | concurrent.futures.Future[Any],
    ) -> None:
        self.path = path
        self.work = work
        self.done = done


def _as_it_is(data: bytes) -> bytes:
    return data


class Writer:
    """Appends whole lines to any number of files, and replaces files, in order per file."""

    def __init__(
        self,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        longest: int | None = None,
        open_files: int = 128,
        clean: Callable[[bytes], bytes] = _as_it_is,
    ) -> None:
        self.max_line_bytes = max_line_bytes
        self.longest = longest or max_line_bytes
        """The longest line of a log that is written; one up to ``max_line_bytes`` is read."""
        self.clean = clean
        """Takes the secrets out of lines that are to be stored."""
        self._files = AppendFiles(open_files)
        self._at_once = max(1, open_files // 2)
        self._helpers: concurrent.futures.ThreadPoolExecutor | None = None
        self._pending: deque[_Append | _Call] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._woken = False
        self._closed = False
        self._gate = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Start the thread; results go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        # A daemon thread, so that a program that forgot to close can still end.
        self._thread = threading.Thread(
            target=self._run, args=(self._ended,), name="clawd-writer", daemon=True
        )
        self._thread.start()

    async def close(self) -> None:
        """Finish all that was accepted, then end the thread. Harmless when repeated."""
        with self._gate:
            first, self._closed = not self._closed, True
        if self._thread is None or self._ended is None:
            return
        if first:
            self._wake.put(None)
        await asyncio.shield(self._ended)

    async def append(self, path: Path, data: bytes, *, sync: bool = True) -> None:
        """Append whole lines, each ending in LF; they are on disk when this returns.

        Without ``sync`` they are only in the file then: a kill spares them, a power cut not before
        the next append to it. ``StorageError`` (``storage_full``, ``storage_error``,
        ``line_too_large``) when they are not stored. A caller that is cancelled does not know; a
        line is never stored in part.
        """
        done = self.put(path, data, sync=sync)
        self.soon()
        await done

    def put(self, path: Path, data: bytes, *, sync: bool) -> asyncio.Future[None]:
        """Append no later than the next append to any file; see ``append``."""
        place = os.fspath(path)
        if not data.endswith(b"\n"):
            raise ValueError("appended data must be whole lines, each ending in LF")
        check_length(place, data, self.max_line_bytes)
        done: asyncio.Future[None] = self._open_loop(place).create_future()
        self._pending.append(_Append(place, data, done, sync))
        return done

    def soon(self) -> None:
        """Let what was put go to disk now, and not with the next append."""
        if not self._woken:
            self._woken = True
            self._wake.put(None)

    async def replace(self, path: Path, compute: Callable[[], Iterable[bytes]]) -> tuple[int, int]:
        """Put what ``compute`` yields in place of the file, atomically; bytes before and after.

        ``compute`` runs on the thread; what it raises comes out here and leaves the file alone.
        """
        place = os.fspath(path)
        future: asyncio.Future[tuple[int, int]] = self._open_loop(place).create_future()
        work = functools.partial(self._replace, path, compute)
        self._submit(_Call(place, work, future))
        return await future

    async def release(self, *paths: Path) -> None:
        """Close these files and forget them: nobody is expected to append to them any more."""
        for path in paths:
            place = os.fspath(path)
            done: asyncio.Future[None] = self._open_loop(place).create_future()
            self._submit(_Call(place, functools.partial(self._files.release, place), done))
            await done

    def exclusively(self, path: Path, work: Callable[[], Result]) -> Result:
        """Do ``work`` while nothing is written to ``path``; BLOCKS the calling thread meanwhile.

        On the writer's thread when it runs, otherwise right here.
        """
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        with self._gate:
            running = self._thread is not None and not self._closed
            if running:
                self._submit(_Call(os.fspath(path), work, future))
        return future.result() if running else work()

    def _open_loop(self, place: str) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._closed:
            state = "closed" if self._closed else "not started"
            raise StorageError("storage_error", f"{place}: the writer is {state}", path=place)
        return self._loop

    def _submit(self, call: _Call) -> None:
        self._pending.append(call)
        self._wake.put(None)

    # From here on: the thread.

    def _run(self, ended: asyncio.Future[None]) -> None:
        closed = False
        while not closed:
            self._wait()
            closed = self._closed  # before the batch is taken: what is accepted later is not there
            self._woken = False  # before too, so that what comes after the batch wakes again
            self._report(self._do_batch(self._take()))
        if self._helpers is not None:
            self._helpers.shutdown()
        self._files.repair()
        self._files.close()
        self._report([(ended, None, None)])

    def _wait(self) -> None:
        """Wait for work; meanwhile take back what a failing disk kept of refused lines."""
        while self._files.unsound:
            try:
                self._wake.get(timeout=_REPAIR_SECONDS)
                return
            except Empty:
                self._files.repair()
        self._wake.get()

    def _take(self) -> list[_Append | _Call]:
        batch: list[_Append | _Call] = []
        while self._pending:
            batch.append(self._pending.popleft())
        return batch

    def _do_batch(self, batch: list[_Append | _Call]) -> Settled:
        settled: Settled = []
        groups: dict[str, list[_Append]] = {}
        for item in batch:
            if isinstance(item, _Append):
                groups.setdefault(item.path, []).append(item)
                continue
            if (group := groups.pop(item.path, None)) is not None:
                self._commit([group], settled)
            self._do_call(item, settled)
        waiting = list(groups.values())
        if len(waiting) == 1 and len(waiting[0]) == 1:
            self._commit_one(waiting[0][0], settled)
            return settled
        for start in range(0, len(waiting), self._at_once):
            self._commit(waiting[start : start + self._at_once], settled)
        return settled

    def _commit_one(self, item: _Append, settled: Settled) -> None:
        """Store the line of one caller, who waits for little else, or tell it why not."""
        failure: BaseException
        try:
            written = self._files.write(item.path, item.data)
            if item.sync:
                self._files.settle(written, sync(written))
            else:
                self._files.leave(written)
        except NotWritten as refused:
            failure = storage_error(item.path, refused.failure)
        except Exception as error:  # noqa: BLE001 - the thread outlives any one file's trouble
            failure = error
        else:
            settled.append((item.done, None, None))
            return
        _refuse([item], failure, settled)

    def _commit(self, groups: list[list[_Append]], settled: Settled) -> None:
        """Store the lines of all these callers, one write a file, or tell each why not."""
        written: list[tuple[list[_Append], Written]] = []
        for group in groups:
            data = group[0].data if len(group) == 1 else b"".join([item.data for item in group])
            try:
                written.append((group, self._files.write(group[0].path, data)))
            except NotWritten as refused:
                if len(group) > 1 and refused.failure.errno in FULL:
                    # One long line must not take the others with it.
                    for item in group:
                        self._commit_one(item, settled)
                else:
                    _refuse(group, storage_error(group[0].path, refused.failure), settled)
            except Exception as error:  # noqa: BLE001 - the thread outlives any one file's trouble
                _refuse(group, error, settled)
        hurried: list[tuple[list[_Append], Written]] = []
        for group, file in written:
            if any(item.sync for item in group):
                hurried.append((group, file))
            else:
                self._files.leave(file)
                settled += [(item.done, None, None) for item in group]
        for (group, file), failed in zip(hurried, self._sync([f for _, f in hurried]), strict=True):
            try:
                self._files.settle(file, failed)
            except Exception as error:  # noqa: BLE001 - as above
                _refuse(group, error, settled)
            else:
                settled += [(item.done, None, None) for item in group]

    def _sync(self, files: list[Written]) -> list[OSError | None]:
        """Bring the files to disk: many at the same time, for then they share the disk's waits."""
        if len(files) < _WORTH_THREADS:
            return [sync(file) for file in files]
        if self._helpers is None:
            self._helpers = concurrent.futures.ThreadPoolExecutor(_HELPERS, "clawd-sync")
        parts = [files[start::_HELPERS] for start in range(min(_HELPERS, len(files)))]
        failures: list[OSError | None] = [None] * len(files)
        try:
            shared = self._helpers.map(_sync_each, parts)
        except RuntimeError:  # the program is ending and takes no more threads
            return _sync_each(files)
        for start, part in enumerate(shared):
            failures[start::_HELPERS] = part
        return failures

    def _do_call(self, call: _Call, settled: Settled) -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = call.work()
        except OSError as error:
            failure = storage_error(call.path, error)
        except BaseException as error:  # noqa: BLE001 - it belongs to who asked for the work
            failure = error
        if isinstance(call.done, asyncio.Future):
            settled.append((call.done, result, failure))
        elif failure is None:
            call.done.set_result(result)
        else:
            call.done.set_exception(failure)

    def _replace(self, path: Path, compute: Callable[[], Iterable[bytes]]) -> tuple[int, int]:
        try:
            before = os.lstat(path).st_size
        except FileNotFoundError:
            before = 0
        after = replace_file(path, compute())
        self._files.forget(os.fspath(path))
        return before, after

    def _report(self, settled: Settled) -> None:
        if not settled or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(settle, settled)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _sync_each(files: list[Written]) -> list[OSError | None]:
    return [sync(file) for file in files]


def _refuse(group: list[_Append], failure: BaseException, settled: Settled) -> None:
    settled += [(item.done, None, own(failure, item.path)) for item in group]
