"""The one log: a file of whole records, one a line, in which the last line for an id wins."""

from __future__ import annotations

import asyncio
import os
from asyncio import Future
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import UnionType
from typing import Generic

import msgspec

from clawd.errors import ClawdError, Invalid, StorageError
from clawd.storage.failures import check_length, storage_error
from clawd.storage.lines import copy, lines_with, open_log, pieces
from clawd.storage.mending import Problem, described, mend
from clawd.storage.parsing import Check, Identified, Line, Parser, Record, Share
from clawd.storage.resealing import Resealing
from clawd.storage.sealing import Sealer
from clawd.storage.writer import Writer

__all__ = ["Check", "Identified", "Loaded", "Log", "Problem"]


SPARE_LINES = 1000
"""A log is not worth rewriting for fewer superseded lines than this."""


@dataclass(slots=True)
class Loaded(Generic[Record]):
    """What a log holds: the last record for each id, in order of first appearance.

    ``lines`` counts the records read, ``superseded`` those that a later one replaced, ``blank``
    the empty lines; ``bytes`` is the size of the file.
    """

    records: dict[str, Record] = field(default_factory=dict)
    lines: int = 0
    superseded: int = 0
    blank: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


def everything(_: str) -> bool:
    """Keep every id."""
    return True


class Log(Generic[Record]):
    """One such file. ``kind`` is a ``msgspec.Struct`` or a union of tagged ones, with ``id: str``.

    Make one ``Log`` for a file, and load it before the first append.
    """

    def __init__(
        self,
        path: Path,
        kind: type[Record] | UnionType,
        writer: Writer,
        *,
        max_line_bytes: int | None = None,
        sealer: Sealer[Record] | None = None,
    ) -> None:
        self.path = path
        self._sealer = sealer
        self._resealing = Resealing(kind, sealer) if sealer is not None else None
        self._writer = writer
        self._lines = 0
        self._limit = min(max_line_bytes or writer.longest, writer.longest)
        # What was stored under a wider limit is still read.
        self._parser: Parser[Record] = Parser(kind, writer.max_line_bytes, sealer=sealer)
        self._read_limit = writer.max_line_bytes
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(kind)

    def load(
        self, *, check: Check[Record] | None = None, share: Share[Record] | None = None
    ) -> Loaded[Record]:
        """Read everything; BLOCKS (call it from a thread, or at start). No file is an empty log.

        Damage is set aside, taken out of the file and told in ``problems``; everything else
        loads. ``check`` may refuse a record with a reason, which is then damage as well; ``share``
        sees those of each whole piece of the file.
        ``StorageError`` when the file cannot be read or is not a regular file, or when records
        are sealed with a key that is not there: then nothing was changed.
        """
        self._parser.check = check
        try:
            loaded, damaged = self._read(mending=False, share=share)
            if damaged:
                # Seen once more where no append can be half done, or half seen.
                again = partial(self._read, mending=True, share=share)
                loaded, _ = self._writer.exclusively(self.path, again)
        except OSError as failure:
            raise storage_error(self.path, failure) from failure
        self._lines = loaded.lines
        return loaded

    def inspect(self, *, check: Check[Record] | None = None) -> Loaded[Record]:
        """What ``load`` would find; BLOCKS and changes nothing. Errors as ``load``."""
        self._parser.check = check
        try:
            loaded, damaged = self._read(mending=False)
        except OSError as failure:
            raise storage_error(self.path, failure) from failure
        loaded.problems = described(self.path, damaged)
        return loaded

    def matching(self, needle: bytes) -> Iterator[Record]:
        """The records (BLOCKS) whose lines contain these bytes, each line's; opened if they can be.

        What does not parse is passed over: ``load`` tells of it.
        """
        for line in lines_with(self.path, needle, self._read_limit):
            try:
                record = self._decoder.decode(line)
            except msgspec.DecodeError:
                continue
            try:
                yield self._sealer.opened(record) if self._sealer is not None else record
            except ClawdError:
                yield record

    def wasteful(self, records: int) -> bool:
        """Whether most lines of the file are superseded, ``records`` being how many count."""
        return self._lines > 2 * records + SPARE_LINES

    async def append(self, *records: Record, sync: bool = True) -> Sequence[Record]:
        """Store the records, together; they are on disk, as it returns them, when this returns.

        They are the same but for secrets, which are never stored. Without ``sync`` they come to
        disk with the next append: a power cut before it takes them, a kill does not.

        ``Invalid`` for a record that would not load again (a lone surrogate, a wrong type, an
        empty id) and ``StorageError`` for one that is too long: then nothing is written.
        ``StorageError`` also when the disk refuses.
        """
        if records:
            data, stored = self._encode(records)
            await self._writer.append(self.path, data, sync=sync)
            self._lines += len(records)
            return stored
        return records

    def put(
        self,
        *records: Record,
        refused: Callable[[BaseException], object],
        sync: bool = True,
        soon: bool = False,
    ) -> None:
        """Store the records without waiting: no later than the next append to any log.

        ``soon``: at once, whether another append comes or not; ``sync`` as in ``append``.
        ``refused`` hears of a failure; ``Invalid`` and ``StorageError`` as in ``append`` for what
        could never be stored.
        """
        stored = self._writer.put(self.path, self._encode(records)[0], sync=sync)
        stored.add_done_callback(partial(_tell_if_refused, refused))
        self._lines += len(records)
        if soon:
            self._writer.soon()

    @property
    def lines(self) -> int:
        """About how many lines the file has."""
        return self._lines

    def read(self) -> list[Record]:
        """The last record for each id, with all that was put or appended before; BLOCKS.

        Damage is left where it is for the next ``load``. Not on the event loop.
        """
        try:
            self._writer.exclusively(self.path, lambda: None)
            return list(self._read(mending=False)[0].records.values())
        except OSError as failure:
            raise storage_error(self.path, failure) from failure

    async def rewrite(
        self, change: Callable[[Iterable[Record]], Iterable[Record]]
    ) -> tuple[int, int]:
        """Rewrite the file with what ``change`` makes of the last record for each id, in order.

        Returns the bytes before and after. ``change`` runs on the writer's thread. A damaged file
        is left as it is, for the next load to mend: ``StorageError``.
        """
        kept = 0

        def lines() -> Iterator[bytes]:
            nonlocal kept
            loaded, damaged = self._read(mending=False)
            if damaged:
                raise StorageError(
                    "storage_damaged", f"{self.path} is damaged", hint="restart the daemon"
                )
            encoder = msgspec.json.Encoder()
            for record in change(loaded.records.values()):
                kept += 1
                yield encoder.encode(record) + b"\n"

        sizes = await self._writer.replace(self.path, lines)
        self._lines = kept
        return sizes

    async def compact(self, keep: Callable[[str], bool] = everything) -> tuple[int, int]:
        """Rewrite the file with the last line, as it stands, of each id that ``keep`` accepts.

        Lines are sealed, or not, as they would be now.

        Returns the bytes before and after. ``keep`` runs on the writer's thread: give it a
        snapshot. Appends made meanwhile follow. Damaged lines stay for the next load to mend.
        """
        sizes = await self._writer.replace(self.path, lambda: self._compacted(keep))
        # Counted anew from here: what remains is one line a record, and whatever comes.
        self._lines = 0
        return sizes

    def _encode(self, records: tuple[Record, ...]) -> tuple[bytes, Sequence[Record]]:
        try:
            written = self._encoder.encode_lines(records)
            data = self._writer.clean(written)
            # A record may be built with any value in it. What is acknowledged must load again.
            stored = self._decoder.decode_lines(data)
            sealed = self._sealed(data, stored)
        except (ValueError, TypeError, OverflowError, RecursionError) as failure:
            text = "it holds a lone surrogate" if isinstance(failure, UnicodeError) else failure
            raise Invalid("invalid_record", f"{self.path}: cannot store a record: {text}") from None
        if not all(map(attrgetter("id"), records)):
            raise Invalid("invalid_record", f"{self.path}: cannot store a record: its id is empty")
        check_length(self.path, sealed, self._limit)
        return sealed, records if data is written else stored

    def _sealed(self, data: bytes, records: Sequence[Record]) -> bytes:
        sealer = self._sealer
        if sealer is None or not any(map(sealer.wanted, records)):
            return data
        return self._encoder.encode_lines([sealer.sealed(record) for record in records])

    async def reseal(self) -> tuple[int, int]:
        """Rewrite the file with every line sealed, or not, as it would be now.

        Returns the bytes before and after; a file in which nothing is to be changed stays.
        """
        if self._resealing is None or not await asyncio.to_thread(self._outdated):
            size = self.path.stat().st_size if self.path.exists() else 0
            return size, size
        return await self._writer.replace(self.path, self._resealed)

    def _outdated(self) -> bool:
        descriptor = open_log(self.path)
        if descriptor is None or self._resealing is None:
            return False
        try:
            return self._resealing.outdated(descriptor, self._read_limit)
        finally:
            os.close(descriptor)

    def _resealed(self) -> Iterator[bytes]:
        descriptor = open_log(self.path)
        if descriptor is None or self._resealing is None:
            return
        try:
            yield from self._resealing.whole(descriptor, self._read_limit)
        finally:
            os.close(descriptor)

    def _read(
        self, *, mending: bool, share: Share[Record] | None = None
    ) -> tuple[Loaded[Record], list[Line[Record]]]:
        loaded: Loaded[Record] = Loaded()
        damaged: list[Line[Record]] = []
        descriptor = open_log(self.path)
        if descriptor is None:
            return loaded, damaged
        try:
            number = 1
            for piece in pieces(descriptor, self._read_limit):
                if (whole := self._parser.all(piece)) is not None:
                    if share is not None:
                        share(whole[1])
                    loaded.records.update(zip(*whole, strict=True))
                    loaded.lines += len(whole[0])
                    number += len(whole[0])
                    continue
                for line in self._parser.each(piece, number):
                    number += 1
                    loaded.records.update([(record.id, record) for record, _, _ in line.records])
                    loaded.lines += len(line.records)
                    loaded.blank += not line.records and not line.reason
                    if line.reason or len(line.records) > 1 or (line.records and not line.ended):
                        damaged.append(line)
            loaded.superseded = loaded.lines - len(loaded.records)
            if damaged and mending:
                loaded.problems = mend(self.path, descriptor, damaged)
                loaded.bytes = os.lstat(self.path).st_size
            else:
                loaded.bytes = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        return loaded, damaged

    def _compacted(self, keep: Callable[[str], bool]) -> Iterator[bytes]:
        descriptor = open_log(self.path)
        if descriptor is None:
            return
        try:
            for offset, length in self._last_places(descriptor, keep):
                if self._resealing is None:
                    yield from copy(descriptor, offset, length)
                else:
                    yield self._resealing.line(b"".join(copy(descriptor, offset, length)))
                yield b"\n"
        finally:
            os.close(descriptor)

    def _last_places(
        self, descriptor: int, keep: Callable[[str], bool]
    ) -> Iterator[tuple[int, int]]:
        """Offset and length of each line to keep, in order of first appearance."""
        places: dict[str | int, tuple[int, int]] = {}
        for piece in pieces(descriptor, self._read_limit):
            whole = self._parser.all(piece)
            if whole is not None and piece.data is not None:
                offset = piece.offset
                for key, raw in zip(whole[0], piece.data.split(b"\n"), strict=False):
                    places[key] = offset, len(raw)
                    offset += len(raw) + 1
                continue
            for line in self._parser.each(piece, 0):
                for record, start, end in line.records:
                    places[record.id] = line.offset + start, end - start
                if line.reason:
                    places[line.offset] = line.offset, line.length - line.ended
        for name, place in places.items():
            if isinstance(name, int) or keep(name):
                yield place


def _tell_if_refused(refused: Callable[[BaseException], object], done: Future[None]) -> None:
    if not done.cancelled() and (failure := done.exception()) is not None:
        refused(failure)
