"""Changing the text of the example configuration without losing its comments."""

from __future__ import annotations

import json
import re
from typing import Any

_HEAD = re.compile(r'^  "providerTemplates": \{\n', re.MULTILINE)


def with_first_template(text: str, id: str, template: dict[str, Any]) -> str:
    """The example with this provider template in the first place.

    One of the same id that the example has moves up; a local server's is replaced, because only
    the server knows its models.
    """
    block = _block(text, id)
    keep = block is not None and "apiKey" in template
    if block is not None:
        start, end = block
        own = text[start:end].rstrip().removesuffix(",")
        text = text[:start] + text[end:]
    else:
        own = ""
    if not keep:
        entry = json.dumps(template, indent=2).replace("\n", "\n    ")
        own = f"    {json.dumps(id)}: {entry}"
    head = _HEAD.search(text)
    if head is None:
        raise ValueError("the example configuration has no providerTemplates")
    return f"{text[: head.end()]}{own},\n{text[head.end() :]}"


def _block(text: str, id: str) -> tuple[int, int] | None:
    """Where the template's lines are, with the comment above them."""
    entry = re.compile(
        rf"(?:^    //[^\n]*\n)*^    {re.escape(json.dumps(id))}: \{{\n.*?^    \}},?\n",
        re.MULTILINE | re.DOTALL,
    )
    found = entry.search(text)
    return found.span() if found else None
