"""HTTP/1.1 over a Unix socket, as much of it as the daemon speaks.

The standard library's client would load `email` and `ssl` first: a fifth of the time that a list
takes. One request a connection; the answer ends by its length, by its last chunk, or at the end.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path

_LINE = 65536


class BadAnswer(OSError):
    """What came back is no HTTP, or it ended too early."""


class Answer:
    """An answer whose body has not been read yet; close it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream: BufferedReader = connection.makefile("rb")
        version, _, rest = self._line().partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise BadAnswer("the daemon answered with something else than HTTP")
        self.status = int(rest[:3])
        self.headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._connection.close()

    def interrupt(self) -> None:
        """Make a thread that is reading this answer come back at once."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already

    def parts(self) -> Iterator[bytes]:
        """The body, piece by piece, as it comes."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
            return
        length = self.headers.get("content-length")
        if length is not None:
            yield self._exactly(int(length))
            return
        while part := self._stream.read1(_LINE):
            yield part

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts())

    def lines(self) -> Iterator[bytes]:
        """The body line by line, without their ends, each as soon as it is whole."""
        rest = b""
        for part in self.parts():
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r")
        if rest:
            yield rest

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().partition(b";")[0], 16):
            yield self._exactly(size)
            self._line()
        while self._line():
            pass  # trailers

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise BadAnswer("the answer ended too early")
        return data

    def _line(self) -> bytes:
        line = self._stream.readline(_LINE)
        if not line.endswith(b"\n"):
            raise BadAnswer("the connection ended")
        return line.rstrip(b"\r\n")


def request(
    path: Path,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,
) -> Answer:
    """Send one request to the socket at ``path``; ``timeout`` seconds for each step of it.

    Raises ``OSError``: ``TimeoutError`` for the limit, ``BadAnswer`` for nonsense.
    """
    fields = {"Host": "clawd", "Connection": "close", **headers}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
        try:
            connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
        except BrokenPipeError:
            pass  # it was answered before the whole body was read: the answer can be read now
        return Answer(connection)
    except BaseException:
        connection.close()
        raise
