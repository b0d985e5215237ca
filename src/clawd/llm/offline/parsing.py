"""Reads an instruction: which tool, with which arguments, or what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from clawd.llm.offline import cues
from clawd.llm.offline.masking import OBJECT, OBJECT_PATTERN, QUOTE_PATTERN, QUOTED, Masked

Tools = Mapping[str, Mapping[str, Any]]
"""Tool name to the JSON Schema of its parameters."""

_NAME = r"[A-Za-z0-9][\w-]*"
_EXPLICIT = re.compile(
    r"^(?:(?:please|now|can you|could you|would you|and|also|first|next|finally)[ ,]+)*"
    r"(?:use|call|invoke|run)\s+(?:the\s+)?(?:tool\s+)?(`?)([A-Za-z][\w.-]*)\1(?=[\s,:;.(]|$)(?:\s+tool\b)?(.*)",
    re.IGNORECASE | re.DOTALL,
)
_BARE = re.compile(r"^([A-Za-z]\w*)(?=[\s(:]|$)(.*)", re.DOTALL)
_ARGUMENTS = re.compile(
    rf"^[\s:(]*(?:with\s+)?(?:the\s+)?(?:arguments\s+)?:?\s*{OBJECT_PATTERN}", re.IGNORECASE
)
_BROKEN = re.compile(r"^[\s:(]*(?:with\s+)?(?:the\s+)?(?:arguments\s+)?:?\s*\{", re.IGNORECASE)
_PAIR = re.compile(
    rf"\b([A-Za-z]\w*)\s*=\s*({QUOTE_PATTERN}|{OBJECT_PATTERN}|\[[^\]]*\]|[^\s,;)]+)"
)


@dataclass(frozen=True)
class Step:
    """A tool call that a line asks for; ``problem`` says why it cannot be made."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Known:
    """What a parameter may be taken to mean though it is not said: the sender, the task."""

    sender: str = ""
    task: str = ""


def read(line: str, tools: Tools, known: Known = Known()) -> Step | None:
    """The step that a line asks for, or ``None`` when it asks for no tool."""
    masked = Masked(line.strip())
    named = _named(masked.text, tools)
    if named is not None:
        name, rest = named
        if name not in tools:
            return Step(name, problem=_unknown(name, tools))
        return _arguments(name, rest, masked, tools[name], known, {})
    return _phrase(masked, tools, known)


def starts_step(masked_text: str, tools: Tools) -> bool:
    """Whether a step begins here, so that a "then" before it joins two steps."""
    if _named(masked_text, tools) is not None:
        return True
    return any(compiled(phrase.pattern).match(masked_text) for phrase in cues.PHRASES)


def _named(text: str, tools: Tools) -> tuple[str, str] | None:
    """The tool that is named and what follows; an unknown one only if it looks like a tool."""
    if found := _EXPLICIT.match(text):
        name = _canonical(found[2].rstrip("."), tools)
        if name in tools or "_" in name:
            return name, found[3]
        return None
    if found := _BARE.match(text):
        name = _canonical(found[1], tools)
        if name in tools and (
            "_" in found[1] or _ARGUMENTS.match(found[2]) or _PAIR.match(found[2].strip())
        ):
            return name, found[2]
    return None


def _canonical(name: str, names: Mapping[str, Any]) -> str:
    plain = _plain(name)
    return next((known for known in names if _plain(known) == plain), name)


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _unknown(name: str, tools: Tools) -> str:
    listed = ", ".join(sorted(tools)) or "none at all"
    return f"There is no tool {name} here. The tools that I have: {listed}."


def _arguments(
    name: str,
    rest: str,
    masked: Masked,
    schema: Mapping[str, Any],
    known: Known,
    fixed: dict[str, Any],
) -> Step:
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = list(schema.get("required", []))
    if found := _ARGUMENTS.match(rest):
        given = masked.value(found[1])
        arguments = {_canonical(key, properties): value for key, value in given.items()}
    elif _BROKEN.match(rest):
        return Step(name, problem=f"What follows {name} is not valid JSON, so I did not call it.")
    else:
        arguments = _Reader(rest, masked, properties, required).read()
        if (
            re.search(cues.REPLY, rest, re.IGNORECASE)
            and known.sender
            and cues.REPLY_PARAMETER in properties
        ):
            arguments.setdefault(cues.REPLY_PARAMETER, known.sender)
    if known.task and name == cues.COMPLETE:
        arguments.setdefault(cues.TASK_PARAMETER, known.task)
    arguments = fixed | arguments
    missing = [key for key in required if key not in arguments]
    return Step(name, arguments, _missing(name, missing, required) if missing else "")


def _missing(name: str, missing: list[str], required: list[str]) -> str:
    example = json.dumps(dict.fromkeys(required, "…"), ensure_ascii=False)
    return (
        f"{name} needs {' and '.join(missing)}, and I do not guess. "
        f"Say it, for example: Use {name} with {example}"
    )


def _phrase(masked: Masked, tools: Tools, known: Known) -> Step | None:
    for phrase in cues.PHRASES:
        found = compiled(phrase.pattern).match(masked.text)
        if found is None:
            continue
        groups = {key: value for key, value in found.groupdict().items() if value}
        said = {key: masked.plain(value) for key, value in groups.items()}
        target = said.get(cues.REPLY_PARAMETER)
        quoted = groups.get(cues.REPLY_PARAMETER, "").startswith(QUOTED)
        if target is not None and not quoted and target.lower() in cues.NOT_NAMES:
            continue
        if phrase.tool not in tools:
            return Step(phrase.tool, problem=_unknown(phrase.tool, tools))
        rest = "" if said else masked.text
        return _arguments(phrase.tool, rest, masked, tools[phrase.tool], known, phrase.fixed | said)
    return None


class _Reader:
    """Finds the values of a tool's parameters in the words after its name."""

    def __init__(
        self, text: str, masked: Masked, properties: Mapping[str, Any], required: list[str]
    ) -> None:
        self._text = text
        self._masked = masked
        self._properties = properties
        self._required = required
        self._used: set[str] = set()
        self._found: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """All that is said; nothing that is not."""
        self._pairs()
        order = [*self._required, *(key for key in self._properties if key not in self._required)]
        for key in order:
            if key not in self._found:
                self._flags(key)
                self._cues(key)
        for key, source in cues.DERIVED.items():
            if key in self._required and source in self._found:
                self._found.setdefault(key, self._found[source])
        self._last_quote()
        return self._found

    def _pairs(self) -> None:
        for found in _PAIR.finditer(self._text):
            key = _canonical(found[1], self._properties)
            if key in self._properties:
                number = found[3] or found[4]
                if number is not None:
                    self._used.add(number)
                self._set(key, found[2] if number is None else self._masked.value(number))
        self._text = _PAIR.sub(" ", self._text)

    def _flags(self, key: str) -> None:
        for pattern, value in cues.FLAGS.get(key, ()):
            if compiled(pattern).search(self._text):
                self._found[key] = value
                return

    def _cues(self, key: str) -> None:
        spoken = re.escape(key.replace("_", " ")).replace("\\ ", "[ _]")
        named = (rf"\b{spoken}:? {{Q}}", rf"\b{spoken}:? {{J}}", rf"\b{spoken}:? (\d+(?:\.\d+)?)\b")
        for pattern in (*named, *cues.PARAMETERS.get(key, ())):
            for found in compiled(pattern).finditer(self._text):
                if self._take(key, found):
                    return

    def _take(self, key: str, found: re.Match[str]) -> bool:
        value: Any = found[1]
        mark = self._text[found.start(1) - 1] if found.start(1) else ""
        if mark in (QUOTED, OBJECT) and value.isdigit():
            if value in self._used:
                return False
            self._used.add(value)
            value = self._masked.value(value)
        elif value.lower() in cues.NOT_NAMES:
            return False
        else:
            value = self._masked.plain(value)
        form = cues.FORMS.get(key)
        if form is not None and not str(value).lstrip().startswith("#"):
            value = form.format(value)
        self._set(key, value)
        return True

    def _last_quote(self) -> None:
        """One quoted text and one required text left: they belong together."""
        quotes = [
            number for number in re.findall(QUOTE_PATTERN, self._text) if number not in self._used
        ]
        missing = [key for key in self._required if key not in self._found]
        if len(quotes) == len(missing) == 1 and missing[0] not in cues.PARAMETERS:
            self._set(missing[0], self._masked.value(quotes[0]))

    def _set(self, key: str, value: Any) -> None:
        self._found[key] = _typed(value, self._properties.get(key, {}))


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """A text as the schema wants it; what does not fit stays, for the tool to refuse."""
    kinds = {schema.get("type"), *(one.get("type") for one in schema.get("anyOf", ()))} - {
        None,
        "null",
    }
    if not isinstance(value, str) or "string" in kinds or not kinds:
        return value
    try:
        read = json.loads(value.lower() if "boolean" in kinds else value)
    except (ValueError, RecursionError):
        read = value
    return [read] if "array" in kinds and not isinstance(read, list) else read


@lru_cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the tables as a regular expression."""
    for name, expression in _PLACEHOLDERS.items():
        pattern = pattern.replace(name, expression)
    return re.compile(pattern.replace(" ?", r"\s*").replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL)


_PLACEHOLDERS = {
    "{Q}": QUOTE_PATTERN,
    "{W}": rf"({_NAME})\b",
    "{N}": rf"(?:{QUOTE_PATTERN}|{_NAME})",
    "{J}": OBJECT_PATTERN,
    "{REST}": r"(.+)",
}
