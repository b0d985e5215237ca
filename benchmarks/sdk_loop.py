"""The loop that the ``openai`` package's documentation shows: its history only in memory."""

from __future__ import annotations

import json
from typing import Any

import openai

SYSTEM = "You are a helpful agent. " * 40
NOOP = {
    "type": "function",
    "function": {
        "name": "noop",
        "description": "Does nothing.",
        "parameters": {
            "type": "object",
            "properties": {"limit": {"type": "integer"}},
            "required": ["limit"],
        },
    },
}


async def noop(limit: int) -> str:
    """Do nothing."""
    return "ok"


class SdkLoop:
    """One client for all; each session is a list of messages."""

    def __init__(self, url: str) -> None:
        # Its own limit of five seconds for a connection fails with a thousand sessions at once.
        self._client: Any = openai.AsyncOpenAI(
            base_url=url, api_key="sk-0123456789abcdef", timeout=300
        )
        self._histories: dict[str, list[Any]] = {}

    def remember(self, session: str, messages: list[Any]) -> None:
        """Begin a session with a history."""
        self._histories[session] = [{"role": "system", "content": SYSTEM}, *messages]

    async def turn(self, session: str, model: str, text: str) -> str:
        """One turn of a session: stream, run tools, append, until there is nothing to call."""
        messages = self._histories.setdefault(session, [{"role": "system", "content": SYSTEM}])
        messages.append({"role": "user", "content": text})
        while True:
            said: list[str] = []
            calls: dict[int, Any] = {}
            stream = await self._client.chat.completions.create(
                model=model,
                messages=messages,
                tools=[NOOP],
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in stream:
                for choice in chunk.choices:
                    delta = choice.delta
                    if delta.content:
                        said.append(delta.content)
                    for part in delta.tool_calls or ():
                        if part.index not in calls:
                            calls[part.index] = part
                        else:
                            calls[part.index].function.arguments += part.function.arguments
            if not calls:
                messages.append({"role": "assistant", "content": "".join(said)})
                return "".join(said)
            messages.append(
                {
                    "role": "assistant",
                    "content": "".join(said) or None,
                    "tool_calls": [
                        {
                            "id": call.id,
                            "type": "function",
                            "function": {
                                "name": call.function.name,
                                "arguments": call.function.arguments,
                            },
                        }
                        for call in calls.values()
                    ],
                }
            )
            for call in calls.values():
                result = await noop(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
