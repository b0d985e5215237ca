"""A connection to addresses that were checked, whatever the host's name says meanwhile.

httpcore2 asks its network backend for every connection, names and numbers alike, so this is the
one gate; the host's name is used for TLS and the ``Host`` header only. There is no pool, no
proxy, no environment.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Sequence

import httpcore2

from clawd.errors import ClawdError, TimedOut, Unreachable
from clawd.net.addresses import Address
from clawd.net.urls import Target

ATTEMPTS = 4
"""How many of a host's addresses are tried."""

_TLS = {
    "WRONG_VERSION_NUMBER": "there is no TLS on that port",
    "HTTP_REQUEST": "there is no TLS on that port",
    "UNSUPPORTED_PROTOCOL": "it offers outdated TLS only",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it offers outdated TLS only",
}


class Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to these addresses in turn, and to nothing else."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses[:ATTEMPTS]
        self._system = httpcore2.AnyIOBackend()
        self.connected = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers; ``host`` is not looked at."""
        failure: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            try:
                stream = await self._system.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                self.connected = True
                return stream
        raise failure


def connection(
    target: Target, backend: Pinned, context: ssl.SSLContext | None
) -> httpcore2.AsyncHTTPConnection:
    """One connection for one request."""
    origin = httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port)
    return httpcore2.AsyncHTTPConnection(origin, ssl_context=context, network_backend=backend)


def explained(target: Target, backend: Pinned, error: Exception) -> ClawdError:
    """What went wrong, in words; ``error`` is one of httpcore2's."""
    place = target.origin
    if isinstance(error, httpcore2.ConnectTimeout):
        what = "does not begin with TLS" if backend.connected else "does not answer"
        return TimedOut("connect_timeout", f"{place} {what}")
    if isinstance(error, httpcore2.TimeoutException):
        return TimedOut("response_timeout", f"{place} fell silent for too long")
    causes = list(_causes(error))
    if isinstance(error, httpcore2.ConnectError):
        if not backend.connected:
            return Unreachable("connect_failed", f"{place} cannot be reached: {_system(causes)}")
        return Unreachable("tls_failed", f"{place}: TLS failed: {_tls(causes)}")
    if isinstance(error, httpcore2.NetworkError):
        return Unreachable("bad_response", f"{place} broke the connection off")
    return Unreachable("bad_response", f"{place} does not speak HTTP rightly")


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _system(causes: Iterable[BaseException]) -> str:
    numbers = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno]
    return os.strerror(numbers[-1]).lower() if numbers else "no connection"


def _tls(causes: Sequence[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message.rstrip('.')})"
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return _TLS.get(cause.reason, cause.reason.replace("_", " ").lower())
    return "the connection broke off"
