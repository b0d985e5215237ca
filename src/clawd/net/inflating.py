"""Compressed bodies unpacked as they come, and never past their limit."""

from __future__ import annotations

import zlib
from typing import Protocol

from clawd.errors import Refused, Unreachable
from clawd.fences import quoted

ACCEPTED = "gzip, deflate"
"""What requests ask for: the standard library has no more on every supported version."""


class Unpacker(Protocol):
    """Takes a body piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """What the piece holds; ``Refused`` (``response_too_large``) once that is too much."""
        ...

    def end(self) -> None:
        """The body is over; ``Unreachable`` when its compression was not."""
        ...


def unpacker(encoding: str, limit: int, url: str) -> Unpacker:
    """For a ``Content-Encoding`` and a limit in bytes; ``Unreachable`` for one not asked for."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain(limit, url)
    if name in ("gzip", "x-gzip", "deflate"):
        return _Inflating(limit, url, "deflate" if name == "deflate" else "gzip")
    raise Unreachable(
        "unsupported_encoding",
        f"{quoted(url)} is packed as {name[:40]!a}, though {ACCEPTED} was asked for",
    )


def too_large(url: str, limit: int) -> Refused:
    """The error for a body of more bytes, unpacked, than are taken."""
    return Refused(
        "response_too_large",
        f"{quoted(url)} is larger than {limit} bytes (unpacked)",
        hint="nothing of it was kept; look for a smaller page",
        limit=limit,
    )


class _Plain:
    def __init__(self, limit: int, url: str) -> None:
        self._limit, self._left, self._url = limit, limit, url

    def feed(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._url, self._limit)
        return data

    def end(self) -> None:
        """Nothing was packed."""


class _Inflating:
    def __init__(self, limit: int, url: str, form: str) -> None:
        self._limit, self._left, self._url = limit, limit, url
        # Packed bytes count too: a stream of empty members unpacks to nothing for ever.
        self._packed_left = limit
        self._form = form
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        self._packed_left -= len(data)
        if self._packed_left < 0:
            raise too_large(self._url, self._limit)
        found = []
        while data:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(data))
            try:
                # One byte more than is left tells that there is more.
                piece = self._stream.decompress(data, self._left + 1)
            except zlib.error:
                raise Unreachable(
                    "bad_response", f"{quoted(self._url)} is not packed as it says ({self._form})"
                ) from None
            self._left -= len(piece)
            if self._left < 0:
                raise too_large(self._url, self._limit)
            found.append(piece)
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                # Another member may follow, or padding, which is nobody's text.
                data = self._stream.unused_data
                if not data.startswith(b"\x1f\x8b"):
                    data = b""
                else:
                    self._stream = None
        return b"".join(found)

    def end(self) -> None:
        if self._stream is not None and not self._stream.eof:
            raise Unreachable("bad_response", f"{quoted(self._url)} broke off in the middle")

    def _window(self, data: bytes) -> int:
        if self._form == "gzip":
            return 16 + zlib.MAX_WBITS
        # Many servers send what they call deflate without its header.
        headed = len(data) > 1 and data[0] & 0x0F == 8 and not (data[0] << 8 | data[1]) % 31
        return zlib.MAX_WBITS if headed else -zlib.MAX_WBITS
