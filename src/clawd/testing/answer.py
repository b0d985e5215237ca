"""The chat-completions wire format from the server's side: one answer to one request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
}
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class Answer:
    """Writes one HTTP response; a step may also misuse it on purpose."""

    def __init__(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.body = body
        self.model = str(body.get("model", ""))
        self.streamed = bool(body.get("stream"))
        self._writer = writer
        self._begun = False

    def whole(
        self,
        status: int,
        body: str | bytes,
        headers: Mapping[str, str],
        content_type: str = "application/json",
    ) -> None:
        """A response that is not streamed."""
        data = body.encode() if isinstance(body, str) else body
        head = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        head += [f"Content-Type: {content_type}", f"Content-Length: {len(data)}", "", ""]
        self._writer.write("\r\n".join(head).encode() + data)

    def raw(self, data: bytes) -> None:
        """Bytes inside the stream, as one chunk of the HTTP body."""
        if not self._begun:
            self._begun = True
            self._writer.write(_STREAM_HEAD)
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, event: Mapping[str, Any]) -> None:
        """One server-sent event."""
        self.raw(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")

    def delta(self, delta: Mapping[str, Any], finish: str | None = None) -> None:
        """One chunk of the first choice."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self.event(_chunk(self.model, [choice]))

    def end(self, usage: Mapping[str, Any] | None) -> None:
        """The usage, when it was asked for and there is one, and the end of the stream."""
        wanted = (self.body.get("stream_options") or {}).get("include_usage")
        if usage and wanted:
            self.event(_chunk(self.model, []) | {"usage": usage})
        self.raw(b"data: [DONE]\n\n")
        self._writer.write(b"0\r\n\r\n")

    def message(
        self, message: Mapping[str, Any], finish: str, usage: Mapping[str, Any] | None
    ) -> None:
        """The answer to a request that did not ask for a stream."""
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = _chunk(self.model, [choice]) | {"object": "chat.completion", "usage": usage or {}}
        self.whole(200, json.dumps(body, ensure_ascii=False), {})

    async def flush(self) -> None:
        """Let the client have what was written."""
        await self._writer.drain()

    async def close(self) -> None:
        """Send what was written and close the connection without ending the HTTP body."""
        self._writer.close()
        await self._writer.wait_closed()


def _chunk(model: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
    }
