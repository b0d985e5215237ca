"""The ways in which an endpoint goes wrong, each as a step of a scripted model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from clawd.testing.answer import Answer
from clawd.testing.steps import Step, words


def fail(
    status: int,
    body: Mapping[str, Any] | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Step:
    """An HTTP error; without ``body`` an error object that names the status."""

    async def play(answer: Answer) -> None:
        shown = error(f"scripted failure {status}") if body is None else body
        answer.whole(status, shown if isinstance(shown, str) else json.dumps(shown), headers or {})

    return Step(f"fail {status}", play)


def error(
    message: str, code: str | None = None, kind: str = "invalid_request_error"
) -> dict[str, Any]:
    """An error object as OpenAI-compatible endpoints write it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def overflow() -> Step:
    """The refusal of a conversation that is longer than the window."""
    text = "This model's maximum context length is 8192 tokens."
    return fail(400, error(text, "context_length_exceeded"))


def hang() -> Step:
    """Silence, not even headers, until the client goes away or the server stops."""

    async def play(answer: Answer) -> None:
        await asyncio.get_running_loop().create_future()

    return Step("hang", play)


def stall(text: str) -> Step:
    """A text, and then silence on an open connection."""

    async def play(answer: Answer) -> None:
        for word in words(text):
            answer.delta({"content": word})
        await answer.flush()
        await asyncio.get_running_loop().create_future()

    return Step(f"stall after {text!r}", play)


def cut(text: str) -> Step:
    """A text, and then a closed connection in the middle of the HTTP body."""

    async def play(answer: Answer) -> None:
        for word in words(text):
            answer.delta({"content": word})
        await answer.flush()
        await answer.close()

    return Step(f"cut after {text!r}", play)


def end_without_finish(text: str) -> Step:
    """A body that ends properly, though the model never said that it had finished."""

    async def play(answer: Answer) -> None:
        for word in words(text):
            answer.delta({"content": word})
        answer.end(None)

    return Step(f"no finish after {text!r}", play)


def cut_in_arguments(tool: str, arguments: str) -> Step:
    """A tool call whose arguments break off, and then a closed connection."""

    async def play(answer: Answer) -> None:
        function = {"name": tool, "arguments": arguments}
        answer.delta(
            {
                "tool_calls": [
                    {"index": 0, "id": "call_cut", "type": "function", "function": function}
                ]
            }
        )
        await answer.close()

    return Step(f"cut in the arguments of {tool}", play)


def reset() -> Step:
    """A connection that is closed before any answer."""

    async def play(answer: Answer) -> None:
        await answer.close()

    return Step("reset", play)


def html(text: str = "<html><body>Please log in to this network</body></html>") -> Step:
    """A web page with status 200, as captive portals and wrong addresses answer."""

    async def play(answer: Answer) -> None:
        answer.whole(200, text, {}, "text/html")

    return Step("html", play)


def empty_body() -> Step:
    """A stream with status 200 that ends at once."""

    async def play(answer: Answer) -> None:
        answer.end(None)

    return Step("empty body", play)


def garbage(data: bytes = b"data: {not json\n\n", before: str = "") -> Step:
    """A stream with bytes in it that are no event of a chat completion."""

    async def play(answer: Answer) -> None:
        for word in words(before):
            answer.delta({"content": word})
        answer.raw(data)
        answer.delta({}, "stop")
        answer.end(None)

    return Step("garbage", play)


def flood(megabytes: int) -> Step:
    """An answer of that many MB in one long text."""

    async def play(answer: Answer) -> None:
        for _ in range(megabytes * 16):
            answer.delta({"content": "x" * 65_536})
            await answer.flush()
        answer.delta({}, "stop")
        answer.end(None)

    return Step(f"flood of {megabytes} MB", play)


def fail_inside(message: str, code: int | str | None = None, before: str = "") -> Step:
    """An error object inside a stream that began with status 200."""

    async def play(answer: Answer) -> None:
        for word in words(before):
            answer.delta({"content": word})
        answer.event({"error": {"message": message, "code": code}})
        answer.end(None)

    return Step(f"fail inside: {message}", play)
