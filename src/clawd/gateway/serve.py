"""Serving the application on a Unix socket that belongs to one user alone."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from clawd.errors import StorageError
from clawd.storage.files import atomic_write

_MAX_PATH_BYTES = 100
_STOP_SECONDS = 2


class OwnUserProtocol(H11Protocol):
    """HTTP for the user that the daemon runs as (and root); others are cut off at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Check who connected before a byte is read."""
        channel = transport.get_extra_info("socket")
        if channel is not None and _peer_uid(channel) not in (os.getuid(), 0, None):
            transport.abort()
            return
        super().connection_made(transport)


class LocalServer:
    """The edge on ``state/clawd.sock``; ``closing`` ends the streams that have no end."""

    def __init__(self, app: Starlette, state: Path, closing: Callable[[], object]) -> None:
        self._app = app
        self._state = state
        self._closing = closing

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Path]:
        """Serve while the block runs; ``StorageError`` when the socket cannot be made."""
        path, channel = bind(self._state)
        config = uvicorn.Config(
            self._app,
            http=OwnUserProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=_STOP_SECONDS,
            server_header=False,
            date_header=False,
        )
        server = _Server(config)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[channel]), name="edge")
                try:
                    yield path
                finally:
                    self._closing()
                    server.should_exit = True
        finally:
            channel.close()
            for name in (path, self._state / "socket"):
                with suppress(OSError):
                    name.unlink()


class _Server(uvicorn.Server):
    """Leaves the signals to the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured: the daemon has handlers of its own."""
        yield


def bind(state: Path) -> tuple[Path, socket.socket]:
    """A listening socket, mode 0600, and its path.

    A path over the system's limit goes to the user's runtime folder; ``state/socket`` names it.
    """
    path = state / "clawd.sock"
    pointer = state / "socket"
    with suppress(OSError):
        pointer.unlink()
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        path = _runtime_folder() / f"{_digest(state)}.sock"
        atomic_write(pointer, f"{path}\n".encode())
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        # The lock on the home is held: a socket that is still here is a dead daemon's.
        channel.bind(os.fsencode(path))
        path.chmod(0o600)
        channel.listen(256)
        channel.setblocking(False)
    except OSError as error:
        channel.close()
        raise StorageError(
            "no_socket",
            f"{path}: {(error.strerror or str(error)).lower()}",
            hint="move away what stands there, or check the folder's owner and mode",
        ) from None
    return path, channel


def _runtime_folder() -> Path:
    """The user's runtime folder; without one, a folder of the user's own below ``/tmp``."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "clawd") if runtime else Path(f"/tmp/clawd-{os.getuid()}")  # noqa: S108 - owned and 0700, checked below
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise StorageError(
            "runtime_folder",
            f"{folder}: {error.strerror}",
            hint="set XDG_RUNTIME_DIR to a folder of your own",
        ) from None
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise StorageError(
            "runtime_folder",
            f"{folder} is open to others",
            hint=f"chmod 700 {folder}, or set XDG_RUNTIME_DIR to a folder of your own",
        )
    return folder


def _digest(state: Path) -> str:
    return f"{state.stat().st_dev:x}-{state.stat().st_ino:x}"


def _peer_uid(channel: socket.socket) -> int | None:
    """Who is on the other side; ``None`` where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    return int(
        struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[1]
    )
