"""From the bytes of a log to records: all at once while all is well, line by line when not."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Generic, Protocol, TypeVar

import msgspec

from clawd.storage.lines import Piece
from clawd.storage.sealing import MARK, Sealer

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
UNREADABLE = (ValueError, RecursionError)  # msgspec's own errors and UnicodeError are ValueErrors
_BROKEN_LF = re.compile(rb"\}[^ -)+-IK-~]\{", re.DOTALL)
"""Where an LF may have been: one byte between two records that is a control character, not ASCII,
or an LF with one bit flipped (``*``, ``J``)."""
_BROKEN_LFS = 8
_scanner = json.JSONDecoder()


class Identified(Protocol):
    """A record: it has an id, and the last line for an id wins."""

    @property
    def id(self) -> str:
        """What the record is known by."""
        ...


Record = TypeVar("Record", bound=Identified)
Check = Callable[[Record], str | None]
"""The owner's own rule: why a record does not belong in this file, or ``None``."""
Share = Callable[[Sequence[Record]], object]
"""The owner's own thrift: lets equal parts of records that were read be the same object."""


@dataclass(frozen=True, slots=True)
class Line(Generic[Record]):
    """One line: its records with the bytes ``start:end`` of the line that hold each.

    None when blank or bad, two when fused. ``reason`` says why it is bad, "" when it is not.
    """

    number: int
    offset: int
    length: int
    records: tuple[tuple[Record, int, int], ...] = ()
    reason: str = ""
    ended: bool = True


class Parser(Generic[Record]):
    """Reads records of one kind."""

    def __init__(
        self,
        kind: type[Record] | UnionType,
        limit: int,
        check: Check[Record] | None = None,
        sealer: Sealer[Record] | None = None,
    ) -> None:
        self._decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(kind)
        self._limit = limit
        self._sealer = sealer
        self.check = check

    def all(self, piece: Piece) -> tuple[list[str], list[Record]] | None:
        """Ids and records of a piece in which every line is exactly one, otherwise ``None``."""
        if piece.data is None or not piece.ended:
            return None
        lines = piece.data.split(b"\n")
        lines.pop()  # what follows the last LF: nothing
        try:
            if not piece.data.isascii():
                piece.data.decode()  # the decoder does not look into fields that it does not know
            records = list(map(self._decoder.decode, lines))
            if self._sealer is not None and MARK in piece.data:
                records = list(map(self._sealer.opened, records))
        except UNREADABLE:
            return None
        ids = [record.id for record in records]
        if not all(ids):
            return None
        if self.check is not None and any(map(self.check, records)):
            return None
        return ids, records

    def each(self, piece: Piece, number: int) -> Iterator[Line[Record]]:
        """The lines of a piece one by one, of which the first has this number."""
        if piece.data is None:
            reason = f"is longer than {self._limit} bytes"
            yield Line(number, piece.offset, piece.length, (), reason, piece.ended)
            return
        start = 0
        while start < len(piece.data):
            end = piece.data.find(b"\n", start) + 1 or len(piece.data)
            yield self._line(piece.data[start:end], number, piece.offset + start, piece.ended)
            start = end
            number += 1

    def _line(self, raw: bytes, number: int, offset: int, ended: bool) -> Line[Record]:
        body = raw.removesuffix(b"\n")
        start = len(_BOM) if offset == 0 and body.startswith(_BOM) else 0
        start += len(body) - start - len(body[start:].lstrip(_BLANK))
        body = body[start:].rstrip(_BLANK)
        found: list[tuple[Record, int, int]] = []
        reason = ""
        if body:
            try:
                found = [(self._record(body), start, start + len(body))]
            except UNREADABLE as failure:
                found = self._fused(body, start) or self._parted(body, start)
                reason = "" if found else _reason(body, failure)
        return Line(number, offset, len(raw), tuple(found), reason, ended)

    def _record(self, body: bytes) -> Record:
        if not body.isascii():
            body.decode()
        record = self._decoder.decode(body)
        if not record.id:
            raise ValueError("it has an empty id")
        if self._sealer is not None:
            record = self._sealer.opened(record)
        if self.check is not None and (reason := self.check(record)):
            raise ValueError(reason)
        return record

    def _fused(self, body: bytes, start: int) -> list[tuple[Record, int, int]]:
        """The records of a line that is two or more whole ones and nothing else."""
        found: list[tuple[Record, int, int]] = []
        try:
            text = body.decode()
            at = 0
            while at < len(text):
                after = _scanner.raw_decode(text, at)[1]
                part = text[at:after].encode()
                found.append((self._record(part), start, start + len(part)))
                rest = text[after:].lstrip(" \t\r")
                start += len(part) + len(text) - after - len(rest)
                at = len(text) - len(rest)
        except UNREADABLE:
            return []
        return found

    def _parted(self, body: bytes, start: int) -> list[tuple[Record, int, int]]:
        """The records of two lines whose LF was damaged: neither was hurt itself."""
        for broken in itertools.islice(_BROKEN_LF.finditer(body), _BROKEN_LFS):
            end, begin = broken.start() + 1, broken.end() - 1
            try:
                return [
                    (self._record(body[:end]), start, start + end),
                    (self._record(body[begin:]), start + begin, start + len(body)),
                ]
            except UNREADABLE:
                continue
        return []


def _reason(body: bytes, failure: Exception) -> str:
    if b"\0" in body:
        return f"has a NUL byte at byte {body.index(0)}"
    if isinstance(failure, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(failure, RecursionError):
        return "is nested too deeply"
    if isinstance(failure, msgspec.ValidationError):
        return f"is not a record of this file: {failure}"
    if isinstance(failure, msgspec.DecodeError):
        return f"is not JSON: {failure}"
    return str(failure)
