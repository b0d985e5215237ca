"""A note: a Markdown file with a small head, or without one when a human wrote it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from clawd.errors import Invalid

MAX_TEXT_BYTES = 64 * 1024
"""The longest text of a note that a session saves."""
MAX_TITLE = 200
MAX_TAGS = 16
MAX_TAG = 64

_HEAD_LINES = 100
_NAMES = frozenset("title tags created updated origin source".split())
_KEY = re.compile(r"([A-Za-z][\w-]*):(?:\s+(.*)|\s*)$")
_PLAIN = re.compile(r"[A-Za-z0-9][\w ./-]*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Note:
    """One note. ``id`` is its file's name without ``.md``; times are ISO 8601 in UTC.

    ``untrusted``: it was saved in a turn that had read text from outside, and ``source`` says
    from where. ``more`` are the lines of its head that clawd does not know, kept as they are.
    """

    id: str
    title: str
    text: str
    tags: tuple[str, ...] = ()
    created: str = ""
    updated: str = ""
    untrusted: bool = False
    source: str = ""
    more: tuple[str, ...] = ()
    line: int = field(default=1, compare=False)
    """The line of the file in which the text begins."""

    @property
    def digest(self) -> bytes:
        """Tells whether two notes say the same, whatever they are called."""
        said = "\0".join((self.title, " ".join(self.tags), self.text))
        return hashlib.sha256(said.encode(errors="replace")).digest()[:16]


def parse(id: str, content: str, changed: float) -> Note:
    """The note in a file's content; ``changed`` is the file's time, for what has no head.

    There is no wrong note: what is no head is text, and a value that cannot be read is left out.
    """
    content = content.replace("\r\n", "\n")
    head, body = _parted(content)
    text = body.strip("\n")
    values, more = _values(head)
    moment = _moment(changed)
    return Note(
        id=id,
        title=_title(values.get("title", ""), text, id),
        text=text,
        tags=clean_tags(_listed(values.get("tags", ""))),
        created=_time(values.get("created", "")) or moment,
        updated=_time(values.get("updated", "")) or _time(values.get("created", "")) or moment,
        untrusted=_word(values.get("origin", "")).casefold() == "untrusted",
        source=_word(values.get("source", ""))[:MAX_TITLE],
        more=more,
        line=content.count("\n", 0, len(content) - len(body.lstrip("\n"))) + 1,
    )


def render(note: Note) -> str:
    """The content of a note's file."""
    head = [f"title: {_quoted(note.title)}"]
    if note.tags:
        head.append(f"tags: [{', '.join(map(_quoted, note.tags))}]")
    head += [f"created: {note.created}", f"updated: {note.updated}"]
    if note.untrusted:
        head += ["origin: untrusted", f"source: {_quoted(note.source)}"]
    return "\n".join(["---", *head, *note.more, "---", "", note.text, ""])


def check_text(text: str) -> str:
    """The text of a note to be saved; ``Invalid`` when it is empty or too long."""
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise Invalid("empty_note", "the text of a note must not be empty")
    # Half of a surrogate pair can stand in no file.
    text = text.encode(errors="replace").decode()
    if (size := len(text.encode())) > MAX_TEXT_BYTES:
        raise Invalid(
            "note_too_long",
            f"the text has {size} bytes, and a note at most {MAX_TEXT_BYTES}",
            hint="save what matters of it, or several notes",
        )
    return text


def clean_title(title: str) -> str:
    """A title on one line, cut to what a title may have."""
    line = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    return line.encode(errors="replace").decode()[:MAX_TITLE]


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as they are kept: without ``#``, on one line, each once, at most 16."""
    cleaned = (clean_title(tag).lstrip("#").replace(",", " ").strip()[:MAX_TAG] for tag in tags)
    return tuple(dict.fromkeys(tag for tag in cleaned if tag))[:MAX_TAGS]


def first_words(text: str, most: int = 60) -> str:
    """A title for a text that has none: its first line, cut at a word."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    line = clean_title(line.lstrip("#>*- "))
    if len(line) <= most:
        return line
    cut = line[: most + 1].rpartition(" ")[0]
    return (cut if len(cut) > most // 2 else line[:most]) + "…"


def slug(title: str) -> str:
    """A title as a file's name of lower-case letters, digits and hyphens; may be empty."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")


def check_id(id: str) -> str:
    """The id as its file's name has it; ``Invalid`` when it can be no file of the folder.

    ``memory/`` before it and ``.md`` behind it are taken off: so a listing shows it.
    """
    name = id.strip().removeprefix("memory/").removesuffix(".md")
    if (
        not name
        or name.startswith(".")
        or "/" in name
        or not name.isprintable()
        or len(name.encode(errors="replace")) > 240
    ):
        raise Invalid(
            "invalid_note_id",
            f"{id[:80]!a} can be no note",
            hint="give an id as memory_search shows it",
        )
    return name


def epoch(time: str) -> float:
    """A note's time in seconds; 0 for what is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(max(0.0, seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parted(content: str) -> tuple[list[str], str]:
    """The lines between two ``---`` at the beginning, and what follows them."""
    if not content.startswith("---\n"):
        return [], content
    lines = content.split("\n", _HEAD_LINES)
    for at, line in enumerate(lines[1:_HEAD_LINES], 1):
        if line.rstrip() in ("---", "..."):
            return lines[1:at], "\n".join(lines[at + 1 :])
    return [], content


def _values(head: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values of the known keys, and the lines of all others."""
    values: dict[str, str] = {}
    more: list[str] = []
    key = ""
    for line in head:
        if match := _KEY.match(line):
            key = match[1].lower()
            if key in _NAMES:
                values[key] = (match[2] or "").strip()
            else:
                more.append(line)
        elif key in _NAMES and line.lstrip().startswith("- "):
            # A list in lines of its own.
            values[key] += f", {line.lstrip()[2:].strip()}"
        elif line.strip():
            more.append(line)
    return values, tuple(more)


def _listed(value: str) -> list[str]:
    inner = value.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    return [_word(part.strip()) for part in inner.split(",")]


def _word(value: str) -> str:
    """A value without its quotes."""
    if value.startswith('"'):
        try:
            decoded = json.loads(value)
        except ValueError:
            decoded = None
        return clean_title(decoded) if isinstance(decoded, str) else clean_title(value.strip('"'))
    if len(value) > 1 and value[0] == value[-1] == "'":
        return clean_title(value[1:-1].replace("''", "'"))
    return clean_title(value)


def _quoted(value: str) -> str:
    """A value as YAML reads it back."""
    if _PLAIN.match(value) and value.casefold() not in ("true", "false", "yes", "no", "null"):
        return value
    return json.dumps(value, ensure_ascii=False)


def _title(given: str, text: str, id: str) -> str:
    if title := _word(given):
        return title
    for line in text.split("\n", 20)[:20]:
        if line.startswith("# ") and (title := clean_title(line[2:])):
            return title
    return clean_title(id)


def _time(value: str) -> str:
    try:
        found = datetime.fromisoformat(_word(value))
    except ValueError:
        return ""
    try:
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return ""
