"""Requests in, envelopes out: one way to read a body, one way to answer, one form of error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from clawd.errors import ClawdError, Invalid
from clawd.messages import JSON

MAX_BODY_BYTES = 4 * 1024 * 1024

Body = TypeVar("Body", bound=msgspec.Struct)
Decoded = TypeVar("Decoded")
Endpoint = Callable[[Request], Awaitable[Response]]


class Fields(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The root of request bodies: camelCase keys, unknown ones refused."""


def json_response(content: Any, status: int = 200) -> Response:
    """JSON with a status."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def one(kind: str, fields: JSON, status: int = 200) -> Response:
    """One thing: ``{"schema": "clawd.<kind>/1", ...}``."""
    return json_response({"schema": f"clawd.{kind}/1"} | fields, status)


def listing(kind: str, items: Iterable[Any], next_page: str | None = None) -> Response:
    """A list: ``{"schema": "clawd.<kind>/1", "items": [...], "next": null}``."""
    return json_response({"schema": f"clawd.{kind}/1", "items": list(items), "next": next_page})


def error_response(error: ClawdError) -> Response:
    """An error with its status: the same text that a model or a log would get."""
    body = error.as_json()
    code = body.pop("error")
    fields = {"code": code, "hint": ""} | body
    return json_response({"schema": "clawd.error/1", "error": fields}, error.status)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The body as ``kind``; ``Invalid`` names what is wrong with it, and where."""
    return _decoded(await read_bytes(request) or b"{}", kind)


async def read_object(request: Request) -> JSON:
    """The body as any JSON object; ``Invalid`` names what is wrong with it, and where."""
    return _decoded(await read_bytes(request), dict[str, Any])


def _decoded(raw: bytes, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(
            "invalid_body", f"the body is not valid: {error}", hint="see docs/api.md"
        ) from None


async def read_bytes(request: Request) -> bytes:
    """The body as sent; ``Invalid`` for a wrong content type or too many bytes."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Unsupported(
            "unsupported_media_type",
            f"content type {kind[:80]!r} is not accepted",
            hint="send application/json",
        )
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _TooLarge(
                "too_large", f"the body has more than {MAX_BODY_BYTES} bytes", hint="send less"
            )
        parts.append(part)
    return b"".join(parts)


def flag(request: Request, name: str, default: bool = False) -> bool:
    """A query parameter that is 1, true, 0 or false."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lower() in ("1", "true"):
        return True
    if text.lower() in ("0", "false"):
        return False
    raise Invalid("invalid_query", f"{name} must be 1 or 0, not {text[:40]!a}")


def number(request: Request, name: str, default: float | None = None) -> float | None:
    """A query parameter that is a number of at least 0."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise Invalid("invalid_query", f"{name} must be a number of at least 0, not {text[:40]!a}")
    return value


def whole(request: Request, name: str, default: int | None = None) -> int | None:
    """A query parameter that is a whole number of at least 0."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise Invalid(
            "invalid_query", f"{name} must be a whole number of at least 0, not {text[:40]!a}"
        )
    return int(text)


def word(request: Request, name: str) -> str | None:
    """A query parameter as text, ``None`` when it is missing or empty."""
    return request.query_params.get(name) or None


def choice(request: Request, name: str, allowed: Iterable[str]) -> str | None:
    """A query parameter that is one of some words, ``None`` when it is missing or empty."""
    text, words = word(request, name), list(allowed)
    if text is not None and text not in words:
        raise Invalid(
            "invalid_query",
            f"{name} must not be {text[:40]!a}",
            hint=f"one of {', '.join(words)}",
        )
    return text


class _Unsupported(Invalid):
    status = 415


class _TooLarge(Invalid):
    status = 413
