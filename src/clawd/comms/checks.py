"""What a message, a thread and a context must be like: one clear error each."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec

from clawd.errors import Invalid

MAX_THREAD = 256
MAX_TTL_SECONDS = 10 * 365 * 86400

_UNPRINTABLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Controls, invisible and bidirectional marks, line and paragraph separators."""


def check_content(content: str, what: str = "message") -> int:
    """How many bytes a text has in UTF-8; ``Invalid`` when it is empty, or not valid Unicode."""
    if not content.strip():
        raise Invalid(f"empty_{what}", f"the {what} is empty", hint=f"say what the {what} is")
    return len(encoded(content, what))


def encoded(content: str, what: str) -> bytes:
    """The text in UTF-8; ``Invalid`` for a lone surrogate."""
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise Invalid(
            "invalid_unicode",
            f"the {what} has a lone surrogate at character {error.start}",
            hint="send valid Unicode",
        ) from None


def check_thread(thread: str | None) -> None:
    """``Invalid`` for a thread id that is empty, too long, or has invisible characters."""
    if thread is None:
        return
    encoded(thread, "thread id")
    if not thread or len(thread) > MAX_THREAD:
        raise Invalid(
            "invalid_thread",
            f"a thread id has 1 to {MAX_THREAD} characters, this one {len(thread)}",
        )
    if any(unicodedata.category(character) in _UNPRINTABLE for character in thread):
        raise Invalid(
            "invalid_thread",
            "a thread id has no control, format or line characters",
            hint="use a plain label",
        )


def check_context(context: dict[str, Any] | None) -> int:
    """How many bytes a context has as JSON; ``Invalid`` when it is too deep, or not JSON."""
    if context is None:
        return 0
    try:
        return len(msgspec.json.encode(context))
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError) as error:
        raise Invalid(
            "invalid_context", f"the context cannot be written as JSON: {error}"
        ) from None


def check_priority(priority: int | None) -> None:
    """``Invalid`` for a priority that is not from 0 to 10."""
    if priority is not None and not 0 <= priority <= 10:
        raise Invalid("invalid_priority", f"priority {priority} is not from 0 to 10")


def check_ttl(seconds: float | None) -> None:
    """``Invalid`` for a time to live that is not more than 0 (and under ten years)."""
    if seconds is not None and not 0 < seconds <= MAX_TTL_SECONDS:
        raise Invalid(
            "invalid_ttl",
            f"ttl_seconds {seconds:g} is not more than 0 and at most {MAX_TTL_SECONDS}",
            hint="leave it out to let the message live on",
        )


def cut(text: str, limit: int, remark: str) -> str:
    """The text when it has at most so many bytes in UTF-8; else its beginning and the remark."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return text
    return f"{data[:limit].decode(errors='ignore')}\n{remark}"
