"""The head of a ``SKILL.md``: YAML between two lines of dashes; the instructions follow.

All of it is text (``yes`` and ``1.0`` too), as the format's own reader has it. Anchors, aliases
and tags are refused, so that a small file is never a large value.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = frozenset({"name", "description", "license", "compatibility", "metadata", "allowed-tools"})
NAME = 64
DESCRIPTION = 1024
COMPATIBILITY = 500
HEAD_BYTES = 16 * 1024
"""The longest head that is read; those in use have a few hundred bytes."""

_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_PLAIN_VALUE = re.compile(r"^([a-z-]+):[ ]+([^\s\"'\[\]{}|>&*!#][^\n]*)$", re.MULTILINE)


class BrokenHeader(Exception):
    """The head cannot be used; the text says why, in a few words with the line."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a skill says of itself; ``loose`` is what the format does not allow and we let pass."""

    name: str
    description: str
    license: str = ""
    compatibility: str = ""
    allowed_tools: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    loose: tuple[str, ...] = ()


def split(text: str) -> tuple[str, str]:
    """The head and the body of a ``SKILL.md``; ``BrokenHeader`` when there is no head."""
    if not (first := _FENCE.match(text)):
        raise BrokenHeader("it does not begin with a line ---")
    end = _FENCE.search(text, first.end(), first.end() + HEAD_BYTES)
    if end is None:
        raise BrokenHeader(f"no second line --- ends the head within {HEAD_BYTES} characters")
    return text[first.end() : end.start()], text[end.end() :].strip()


def read_header(head: str, folder: str) -> Header:
    """The head of the skill in a folder of this name; ``BrokenHeader`` when it is of no use."""
    loose: list[str] = []
    try:
        fields = _fields(head, loose)
    except BrokenHeader as first:
        # The commonest mistake: a description with a colon and no quotes.
        quoted = _PLAIN_VALUE.sub(_quoted, head)
        try:
            fields = _fields(quoted, loose)
        except BrokenHeader:
            raise first from None
        loose.append("a value with a colon has no quotes")
    description = _text(fields, "description").strip()
    if not description:
        raise BrokenHeader("description is missing, or is no text")
    name = unicodedata.normalize("NFKC", _text(fields, "name").strip())
    loose += _named(name, unicodedata.normalize("NFKC", folder))
    if len(description) > DESCRIPTION:
        loose.append(f"description has more than {DESCRIPTION} characters")
    compatibility = fields.get("compatibility", "")
    if not isinstance(compatibility, str):
        loose.append("compatibility is no text")
    elif len(compatibility) > COMPATIBILITY:
        loose.append(f"compatibility has more than {COMPATIBILITY} characters")
    if unknown := sorted(set(fields) - FIELDS):
        loose.append(f"unknown: {', '.join(name[:40] for name in unknown[:5])}")
    more = fields.get("metadata")
    return Header(
        name or folder,
        description,
        _text(fields, "license"),
        _text(fields, "compatibility"),
        _tools(fields.get("allowed-tools")),
        {str(key): str(value) for key, value in more.items()} if isinstance(more, dict) else {},
        tuple(loose),
    )


def _named(name: str, folder: str) -> Iterator[str]:
    if not name:
        yield "name is missing"
        return
    if len(name) > NAME:
        yield f"name has more than {NAME} characters"
    if name != name.lower():
        yield "name has capital letters"
    if not all(c.isalnum() or c == "-" for c in name):
        yield "name has other characters than letters, digits and hyphens"
    if name.startswith("-") or name.endswith("-") or "--" in name:
        yield "name begins or ends with a hyphen, or has two in a row"
    if name != folder:
        yield f"name {name[:NAME]!a} is not that of its folder"


def _tools(value: object) -> str:
    """The tools as one text: some write a list."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key, "")
    return value if isinstance(value, str) else ""


def _quoted(match: re.Match[str]) -> str:
    value = match[2].rstrip().replace("'", "''")
    return f"{match[1]}: '{value}'"


def _fields(head: str, loose: list[str]) -> dict[str, Any]:
    """The mapping in the head, all of it text; ``BrokenHeader`` for anything else."""
    # Whoever has no skills has no use for YAML: some ten milliseconds of a start.
    reader: Any = importlib.import_module("clawd.tools.skills.texts")
    try:
        fields, brackets = reader.read(head)
    except ValueError as failure:
        raise BrokenHeader(str(failure)) from None
    if brackets:
        loose.append("[lists] and {mappings} in brackets")
    return dict(fields)
