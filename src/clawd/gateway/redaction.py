"""Takes secrets out of every answer, whatever route made it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Redaction:
    """Around the application: the body of an answer goes through ``clean`` on its way out.

    A streamed body is cleaned piece by piece: each of clawd's events is one piece.
    """

    def __init__(self, app: ASGIApp, clean: Callable[[bytes], bytes]) -> None:
        self._app = app
        self._clean = clean

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun: Message | None = None

        async def send_cleaned(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = message  # held until it is known how long the body is
                return
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                cleaned = self._clean(body) if body else body
                if begun is not None:
                    if cleaned is not body and not message.get("more_body"):
                        MutableHeaders(raw=begun["headers"])["content-length"] = str(len(cleaned))
                    await send(begun)
                    begun = None
                if cleaned is not body:
                    message = {**message, "body": cleaned}
            await send(message)

        await self._app(scope, receive, send_cleaned)
