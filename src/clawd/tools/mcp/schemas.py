"""The parameters of a server's tool: passed through as given, or refused with a reason."""

from __future__ import annotations

from typing import Any

import msgspec

from clawd.messages import JSON
from clawd.tools.mcp.limits import PARAMETER_NAME, SCHEMA_BYTES, SCHEMA_DEPTH
from clawd.tools.mcp.unseen import has_unseen, without_unseen

_PROSE = frozenset({"title", "description", "$comment"})
_LEFT_OUT = frozenset({"$schema", "$id"})


class Unusable(Exception):
    """A tool cannot be offered; the text says why, in a part of a sentence."""


def usable(schema: JSON) -> JSON:
    """The schema with its prose cleaned; ``Unusable`` when a model should not be shown it."""
    size = len(encoded(schema))
    if size > SCHEMA_BYTES:
        raise Unusable(f"its parameters take {size} bytes, at most {SCHEMA_BYTES} are offered")
    if schema.get("type") != "object":
        raise Unusable('its parameters are no "object"')
    cleaned: JSON = _cleaned(schema, schema, 0)
    cleaned.setdefault("properties", {})
    return {key: value for key, value in cleaned.items() if key not in _LEFT_OUT}


def encoded(schema: JSON) -> bytes:
    """The schema as JSON, the same for the same content."""
    try:
        return msgspec.json.encode(schema, order="deterministic")
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Unusable(f"its parameters cannot be written as JSON ({error})") from None


def _cleaned(value: Any, whole: JSON, depth: int) -> Any:
    if depth > SCHEMA_DEPTH:
        raise Unusable(f"its parameters are nested more than {SCHEMA_DEPTH} deep")
    if isinstance(value, list):
        return [_cleaned(each, whole, depth + 1) for each in value]
    if isinstance(value, str):
        if has_unseen(value):
            raise Unusable("a value in its parameters has characters that nobody sees")
        return value
    if not isinstance(value, dict):
        return value
    if isinstance(reference := value.get("$ref"), str):
        _follow(reference, whole)
    found: JSON = {}
    for key, inner in value.items():
        if key in _PROSE and isinstance(inner, str):
            found[key] = without_unseen(inner)
            continue
        if key == "properties" and isinstance(inner, dict):
            _check_names(inner)
        elif has_unseen(key):
            raise Unusable("a key in its parameters has characters that nobody sees")
        found[key] = _cleaned(inner, whole, depth + 1)
    return found


def _check_names(properties: JSON) -> None:
    for name in properties:
        if not name or len(name) > PARAMETER_NAME or not name.isprintable() or has_unseen(name):
            raise Unusable(f"{name[:PARAMETER_NAME]!a} is no name for a parameter")


def _follow(reference: str, whole: JSON) -> None:
    """Go where a reference leads, and on; a ring of references describes nothing."""
    seen: set[str] = set()
    while True:
        if not reference.startswith("#"):
            raise Unusable(f"its parameters refer to {reference[:80]!a}, outside of themselves")
        if reference in seen:
            raise Unusable(f"in its parameters, {reference[:80]!a} refers to itself")
        seen.add(reference)
        at: Any = whole
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(at, dict) or key not in at:
                raise Unusable(f"its parameters refer to {reference[:80]!a}, which is not there")
            at = at[key]
        following = at.get("$ref") if isinstance(at, dict) else None
        if not isinstance(following, str):
            return
        reference = following
