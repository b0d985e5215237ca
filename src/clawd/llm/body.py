"""The framing of HTTP/1.1 responses: where a head ends, and where its body does (RFC 9112)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD_LIMIT = 128 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class Malformed(Exception):
    """What came is no HTTP, or ended too early."""


@dataclass(frozen=True, slots=True)
class Head:
    """The status and the headers as they came."""

    status: int
    headers: list[tuple[bytes, bytes]]
    old: bool
    """HTTP/1.0, where a connection ends with its response."""

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header, in lower case, lists taken apart."""
        found = [value for key, value in self.headers if key.lower() == name]
        return [part.strip().lower() for value in found for part in value.split(b",")]


def read_head(buffer: bytearray) -> Head | None:
    """Take the head out of the buffer; ``None`` while it is not whole. Raises ``Malformed``."""
    if buffer[:5] not in (b"HTTP/"[: len(buffer)], b"HTTP/"):
        raise Malformed("the answer is not HTTP")
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > _HEAD_LIMIT:
            raise Malformed(f"the head of the answer is longer than {_HEAD_LIMIT} bytes")
        return None
    first, *lines = bytes(buffer[:end]).split(b"\r\n")
    del buffer[: end + 4]
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Malformed("the answer's first line is not HTTP/1.1")
    headers: list[tuple[bytes, bytes]] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or _NAME.fullmatch(name) is None or b"\0" in value or b"\n" in value:
            raise Malformed("a header of the answer is malformed")
        headers.append((name, value.strip(b" \t")))
    return Head(int(status[2]), headers, status[1] == b"0")


class Body:
    """One body while it comes in."""

    def __init__(self, head: Head, bodiless: bool = False) -> None:
        coding = head.values(b"transfer-encoding")
        lengths = set(head.values(b"content-length"))
        options = head.values(b"connection")
        self.keeps_alive = b"close" not in options and (not head.old or b"keep-alive" in options)
        self._chunked = False
        self._left: int | None = None
        self._in_trailer = False
        self._skip = b""
        if bodiless or head.status in (204, 304):
            self._left = 0
        elif coding:
            if coding != [b"chunked"]:
                raise Malformed("the answer's transfer encoding is not known")
            self._chunked = True
            self._left = 0
        elif lengths:
            text = lengths.pop()
            if lengths or not text.isdigit() or len(text) > 18:
                raise Malformed("the answer's length is malformed")
            self._left = int(text)
        else:
            self.keeps_alive = False  # it lasts until the connection ends
        self.ended = self._left == 0 and not self._chunked

    def feed(self, buffer: bytearray) -> bytes:
        """Take out of the buffer what belongs to the body; raises ``Malformed``."""
        if self.ended or not buffer:
            return b""
        if self._chunked:
            return self._chunks(buffer)
        size = len(buffer) if self._left is None else min(self._left, len(buffer))
        data = bytes(buffer[:size])
        del buffer[:size]
        if self._left is not None:
            self._left -= size
            self.ended = self._left == 0
        return data

    def end(self) -> None:
        """The connection has ended; raises ``Malformed`` when the body had not."""
        if self._left is not None:
            raise Malformed("the connection ended before the answer did")
        self.ended = True

    def _chunks(self, buffer: bytearray) -> bytes:
        """All that is there of the chunks, joined."""
        data = bytes(buffer)
        parts: list[bytes] = []
        at = 0
        while not self.ended:
            if self._left:
                part = data[at : at + self._left]
                if not part:
                    break
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                self._skip = b"" if self._left else b"\r\n"
                continue
            if self._skip:
                found = data[at : at + 2]
                if len(found) < 2:
                    break
                if found != self._skip:
                    raise Malformed("a chunk of the answer is longer than it says")
                self._skip = b""
                at += 2
            end = data.find(b"\r\n", at)
            if end < 0:
                if len(data) - at > _HEAD_LIMIT:
                    raise Malformed("a chunk of the answer has no size")
                break
            line = data[at:end]
            at = end + 2
            if self._in_trailer:
                self.ended = not line
                continue
            size = _SIZE.fullmatch(line.partition(b";")[0].strip(b" \t"))
            if size is None:
                raise Malformed("the size of a chunk of the answer is malformed")
            self._left = int(size[0], 16)
            self._in_trailer = not self._left
        del buffer[:at]
        return b"".join(parts)
