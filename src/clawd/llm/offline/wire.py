"""The offline model's wire: it answers by rules instead of a network.

What asks, reads the stream and stands behind it runs unchanged in front of this.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from clawd.ids import new_id
from clawd.llm.connections import Answer
from clawd.llm.offline.rules import Decision, decide
from clawd.llm.tokens import estimate

OFFLINE_ENDPOINT = "offline:"
"""The endpoint of the built-in provider template."""

OFFLINE_URL = "http://offline.invalid/v1"
MODEL = "offline"

_WORDS = re.compile(r"\S+\s*|\s+")


class OfflineWire:
    """Answers chat completions from inside the process; see ``Wire``."""

    async def post(self, address: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request."""
        try:
            asked = json.loads(body)
            tools = {
                tool["function"]["name"]: tool["function"].get("parameters", {})
                for tool in asked.get("tools", ())
            }
            decision = decide(asked["messages"], tools)
        except (ValueError, KeyError, TypeError, AttributeError):
            error = {"message": "not a chat completion request", "type": "invalid_request_error"}
            return _Answer(400, "application/json", [json.dumps({"error": error}).encode()])
        chunks = _chunks(decision, _usage(body, decision))
        events = [b"data: %b\n\n" % json.dumps(c, ensure_ascii=False).encode() for c in chunks]
        return _Answer(200, "text/event-stream", [*events, b"data: [DONE]\n\n"])

    async def close(self) -> None:
        """There is nothing to close."""


class _Answer:
    def __init__(self, status: int, kind: str, parts: list[bytes]) -> None:
        self.status = status
        self.headers = {"content-type": kind}
        self._parts = iter(parts)

    def at_hand(self) -> bytes:
        return b""

    async def wait(self) -> bytes:
        # Others have their turn between two words, as with a network.
        await asyncio.sleep(0)
        return next(self._parts, b"")

    def close(self) -> None:
        self._parts = iter(())


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
