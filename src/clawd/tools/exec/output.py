"""What a command writes: shown as it comes, kept whole in a file, and cut for the answer."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

HEAD_BYTES = 12 * 1024
TAIL_BYTES = 20 * 1024
SHOWN_BYTES = HEAD_BYTES + TAIL_BYTES
"""How much of an output is in an answer: its start and its end."""
MOST_BYTES = 64 * 1024 * 1024
"""How much a command may write; then it is ended."""
MOST_PRIVATE_BYTES = 4 * 1024 * 1024
"""As much of a session whose content is sealed on disk, which is kept in memory alone."""
READ_BYTES = 64 * 1024
_TOLD_BYTES = 2 * 1024
_TELL_SECONDS = 0.1
_CALM_SECONDS = 1.0
_QUICK = 100


class Source(Protocol):
    """Where output comes from."""

    async def read(self, n: int = -1) -> bytes:
        """Up to so many bytes, b"" at the end."""
        ...


class Output:
    """The output of one command; short ones stay in memory, a file is made when one grows.

    ``tell`` is given what comes, in pieces of 2 KiB at most, ten times a second at first and once
    a second later. Without a ``path`` nothing is written to disk.
    """

    def __init__(self, path: Path | None, tell: Callable[[str], object] = lambda _: None) -> None:
        self._path = path
        self._tell = tell
        self._start = bytearray()
        self._end = bytearray()
        self._file = -1
        self._pending = b""
        self._skipped = 0
        self._told = 0
        self._told_at = -_CALM_SECONDS
        self._news = asyncio.Event()
        self._most = MOST_BYTES if path else MOST_PRIVATE_BYTES
        self.size = 0
        """Bytes so far."""
        self.problem = ""
        """Why not all of it is kept, "" when it is."""
        self.ended = False

    @property
    def full(self) -> bool:
        """Whether the command wrote more than it may."""
        return self.size >= self._most

    @property
    def kept(self) -> Path | None:
        """The file with all of it; None when there is none, as for a short one."""
        return self._path if self._file >= 0 else None

    async def take(self, source: Source) -> None:
        """Take all that comes, to its end; what is above the bound is read and dropped."""
        while data := await source.read(READ_BYTES):
            if not self.full:
                await self._keep(data[: self._most - self.size])
        self._flush()
        self.ended = True
        self._news.set()

    async def _keep(self, data: bytes) -> None:
        grown = self.size + len(data)
        # At the first byte that does not fit: all that came so far, and this.
        if self._path is None or grown > SHOWN_BYTES:
            await asyncio.to_thread(self._write, data)
        if len(self._start) < SHOWN_BYTES:
            self._start += data[: SHOWN_BYTES - len(self._start)]
        self._end += data
        del self._end[: -TAIL_BYTES or None]
        self.size = grown
        self._news.set()
        self._hold(data)

    def _write(self, data: bytes) -> None:
        if self.problem:
            return
        try:
            if self._file < 0:
                self._file = _made(self._path)
                data = bytes(self._start) + data
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as failure:
            self.problem = (failure.strerror or str(failure)).lower()

    def _hold(self, data: bytes) -> None:
        whole = self._pending + data
        self._skipped += max(0, len(whole) - _TOLD_BYTES)
        self._pending = whole[-_TOLD_BYTES:]
        self.show()

    def show(self) -> None:
        """Show what came, if it is time."""
        pause = _TELL_SECONDS if self._told < _QUICK else _CALM_SECONDS
        if time.monotonic() - self._told_at >= pause:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        text = self._pending.decode(errors="replace")
        if self._skipped:
            text = f"[clawd: {self._skipped} bytes are not shown]\n{text}"
        self._pending, self._skipped = b"", 0
        self._told += 1
        self._told_at = time.monotonic()
        self._tell(text)

    def shown(self) -> str:
        """Its start and its end; a mark says how much is left out between them."""
        if self.size <= SHOWN_BYTES:
            return bytes(self._start).decode(errors="replace")
        left_out = self.size - HEAD_BYTES - len(self._end)
        head = bytes(self._start[:HEAD_BYTES]).decode(errors="replace")
        tail = bytes(self._end).decode(errors="replace")
        return f"{head}\n[clawd: {left_out} bytes are left out here]\n{tail}"

    def read(self, offset: int, most: int) -> bytes:
        """Up to so many bytes from there on, as they are kept. Blocks when there is a file."""
        if self._file < 0 or offset + most <= len(self._start):
            return bytes(self._start[offset : offset + most])
        return os.pread(self._file, most, offset)

    async def news(self, offset: int, seconds: float) -> None:
        """Wait until there is something after ``offset``, or the end, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.size <= offset and not self.ended:
                    self._news.clear()
                    await self._news.wait()

    @property
    def descriptor(self) -> int:
        """The open file with all of it, -1 when there is none."""
        return self._file

    def close(self) -> None:
        """Let the file go; it stays where it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _made(path: Path | None) -> int:
    if path is None and not hasattr(os, "memfd_create"):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    if path is None:
        return os.memfd_create("clawd-output", os.MFD_CLOEXEC)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)
