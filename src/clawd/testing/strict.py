"""What strict endpoints refuse in a conversation."""

from __future__ import annotations

import json
from typing import Any

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def violation(messages: list[dict[str, Any]]) -> str:
    """The first thing that a strict endpoint would refuse, "" when there is nothing."""
    if not messages:
        return "'messages' is empty"
    waiting: dict[str, str] = {}
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        role = message.get("role")
        if role not in _ROLES:
            return f"{place}: unknown role {role!r}"
        if role == "tool":
            if waiting.pop(str(message.get("tool_call_id")), None) is None:
                return f"{place}: a tool result without a call that waits for it"
            if not isinstance(message.get("content"), str):
                return f"{place}: a tool result without content"
            continue
        if waiting:
            return f"{place}: the calls {sorted(waiting)} have no result yet"
        calls = message.get("tool_calls") or []
        if role != "assistant" and calls:
            return f"{place}: only an assistant calls tools"
        if not calls and not isinstance(message.get("content"), str | list):
            return f"{place}: no content"
        for call in calls:
            problem = _call(call)
            if problem or call["id"] in waiting:
                return f"{place}: {problem or 'two calls with one id'}"
            waiting[call["id"]] = call["function"]["name"]
    return f"the calls {sorted(waiting)} at the end have no result" if waiting else ""


def _call(call: dict[str, Any]) -> str:
    function = call.get("function") or {}
    if not call.get("id") or call.get("type") != "function" or not function.get("name"):
        return "a tool call without id, type or name"
    try:
        arguments = json.loads(function.get("arguments", ""))
    except ValueError:
        return "a tool call whose arguments are not JSON"
    return "" if isinstance(arguments, dict) else "a tool call whose arguments are no object"
