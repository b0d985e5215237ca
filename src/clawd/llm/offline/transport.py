"""The offline model's wire: an HTTP transport that answers by rules instead of a network.

The real client, its streaming and all that stands behind it run unchanged in front of this.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from clawd.ids import new_id
from clawd.llm.offline.rules import Decision, decide
from clawd.llm.tokens import estimate

OFFLINE_ENDPOINT = "offline:"
"""The endpoint of the built-in provider template."""

OFFLINE_URL = "http://offline.invalid/v1"
MODEL = "offline"

_WORDS = re.compile(r"\S+\s*|\s+")


class OfflineTransport(httpx2.AsyncBaseTransport):
    """Serves ``/models`` and ``/chat/completions`` from inside the process."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request; anything but a chat gets the list of models."""
        if not request.url.path.endswith("/chat/completions"):
            listed = {
                "object": "list",
                "data": [{"id": MODEL, "object": "model", "owned_by": "clawd"}],
            }
            return httpx2.Response(200, json=listed)
        content = await request.aread()
        try:
            body = json.loads(content)
            tools = {
                tool["function"]["name"]: tool["function"].get("parameters", {})
                for tool in body.get("tools", ())
            }
            decision = decide(body["messages"], tools)
        except (ValueError, KeyError, TypeError, AttributeError):
            error = {"message": "not a chat completion request", "type": "invalid_request_error"}
            return httpx2.Response(400, json={"error": error})
        usage = _usage(content, decision)
        if not body.get("stream"):
            return httpx2.Response(200, json=_whole(decision, usage))
        head = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, headers=head, stream=_Stream(_chunks(decision, usage)))


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, chunks: list[Mapping[str, Any]]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
            # Others have their turn between two words, as with a network.
            await asyncio.sleep(0)
        yield b"data: [DONE]\n\n"


def _message(decision: Decision) -> dict[str, Any]:
    if not decision.tool:
        return {"role": "assistant", "content": decision.text}
    function = {"name": decision.tool, "arguments": decision.arguments}
    call = {"id": new_id("call"), "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _chunks(decision: Decision, usage: Mapping[str, int]) -> list[Mapping[str, Any]]:
    if decision.tool:
        message = _message(decision)
        deltas = [message | {"tool_calls": [message["tool_calls"][0] | {"index": 0}]}]
    else:
        deltas = [{"content": word} for word in _WORDS.findall(decision.text)]
    chunks = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    chunks.append(_chunk([{"index": 0, "delta": {}, "finish_reason": _finish(decision)}]))
    return [*chunks, _chunk([]) | {"usage": usage}]


def _whole(decision: Decision, usage: Mapping[str, int]) -> dict[str, Any]:
    choice = {"index": 0, "message": _message(decision), "finish_reason": _finish(decision)}
    return _chunk([choice]) | {"object": "chat.completion", "usage": usage}


def _chunk(choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "offline",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": choices,
    }


def _finish(decision: Decision) -> str:
    return "tool_calls" if decision.tool else "stop"


def _usage(content: bytes, decision: Decision) -> dict[str, int]:
    sent = estimate(content.decode(errors="replace"))
    given = estimate(decision.text or decision.arguments)
    return {"prompt_tokens": sent, "completion_tokens": given, "total_tokens": sent + given}
