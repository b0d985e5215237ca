"""What a line of the operator must be like."""

from __future__ import annotations

from clawd.errors import Invalid

MAX_PROMPT_BYTES = 1024 * 1024


def check_line(text: str) -> None:
    """``Invalid`` for a line that is empty, too long, or not valid Unicode."""
    if not text.strip():
        raise Invalid("empty_prompt", "there is nothing to say", hint="write a line")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid(
            "invalid_unicode", "the line has a lone surrogate", hint="send valid Unicode"
        ) from None
    if size > MAX_PROMPT_BYTES:
        raise Invalid("too_large", f"the line has {size} bytes, the limit is {MAX_PROMPT_BYTES}")
