"""A first look at a call's arguments: what is plainly wrong need not go to the server.

The server checks them as a whole. No pattern of a server is ever matched here: one can be made to
take for ever.
"""

from __future__ import annotations

from typing import Any

from clawd.errors import Invalid
from clawd.messages import JSON
from clawd.nearest import nearest

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def check_arguments(tool: str, parameters: JSON, arguments: JSON) -> None:
    """``Invalid`` names every argument that is missing, unknown, or plainly of the wrong kind."""
    properties = parameters.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = parameters.get("required")
    found = [
        f"{name}: missing"
        for name in (required if isinstance(required, list) else [])
        if isinstance(name, str) and name not in arguments
    ]
    closed = parameters.get("additionalProperties") is False and not parameters.get(
        "patternProperties"
    )
    for name, value in arguments.items():
        if name not in known:
            if closed:
                near = nearest(name, known)
                found.append(
                    f"{name}: unknown parameter" + (f", did you mean {near}?" if near else "")
                )
        elif problem := _problem(known[name], value):
            found.append(f"{name}: {problem}")
    if found:
        raise Invalid(
            "invalid_arguments",
            f"{tool}: " + "; ".join(found[:20]),
            hint="parameters: " + (", ".join(known) or "none"),
        )


def _problem(schema: Any, value: Any) -> str:
    if not isinstance(schema, dict):
        return ""
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if names and not any(_is(name, value) for name in names):
        return f"must be {' or '.join(map(str, names))}"
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        return f"must be one of {', '.join(map(str, allowed[:20]))}"
    return ""


def _is(name: Any, value: Any) -> bool:
    kinds = _KINDS.get(name) if isinstance(name, str) else None
    if kinds is None:
        return True
    if isinstance(value, bool):
        return bool in kinds
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, kinds)
