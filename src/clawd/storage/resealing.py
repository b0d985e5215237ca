"""Lines of a log as they would be written now: sealed with the present key, or not sealed."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Generic

import msgspec

from clawd.storage.lines import copy, pieces
from clawd.storage.parsing import UNREADABLE, Record
from clawd.storage.sealing import Sealer


class Resealing(Generic[Record]):
    """Brings lines that were written under other settings, or another key, up to date."""

    def __init__(self, kind: type[Record] | UnionType, sealer: Sealer[Record]) -> None:
        self._decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(kind)
        self._encoder = msgspec.json.Encoder()
        self._sealer = sealer

    def outdated(self, descriptor: int, limit: int) -> bool:
        """Whether any line of a file would be written in another way now."""
        return any(self._needed(line) is not None for line in _lines(descriptor, limit))

    def line(self, raw: bytes) -> bytes:
        """A line as it would be written now; what is no record stays as it is."""
        record = self._needed(raw)
        if record is None:
            return raw
        after = self._sealer.sealed(self._sealer.opened(record))
        fields = msgspec.json.decode(raw)
        # What this version does not know stays in the line.
        known = {*after.__struct_encode_fields__}  # type: ignore[attr-defined]
        kept = {name: value for name, value in fields.items() if name not in known}
        return self._encoder.encode(msgspec.to_builtins(after) | kept)

    def whole(self, descriptor: int, limit: int) -> Iterator[bytes]:
        """A whole file, every line of it."""
        for piece in pieces(descriptor, limit):
            if piece.data is None or not piece.ended:
                yield from copy(descriptor, piece.offset, piece.length)
                continue
            yield b"".join(self.line(raw) + b"\n" for raw in piece.data.split(b"\n")[:-1])

    def _needed(self, raw: bytes) -> Any:
        try:
            record = self._decoder.decode(raw)
        except UNREADABLE:
            return None
        return record if self._sealer.outdated(record) else None


def _lines(descriptor: int, limit: int) -> Iterator[bytes]:
    for piece in pieces(descriptor, limit):
        if piece.data is not None:
            yield from piece.data.split(b"\n")
