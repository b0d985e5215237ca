"""From what pydantic says about a value to what a person can act on."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from clawd.config.problem import Path
from clawd.config.schema import Config
from clawd.nearest import nearest


@dataclass(frozen=True)
class Finding:
    """A problem before it has a line: ``missing`` ones stand at the object that lacks a key."""

    path: Path
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    missing: bool = False


_KINDS: dict[str, str] = {
    "string_type": "must be text in double quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "tuple_type": "must be a list in [ ]",
    "list_type": "must be a list in [ ]",
    "dict_type": "must be an object in { }",
    "model_type": "must be an object in { }",
    "model_attributes_type": "must be an object in { }",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_MAY_HOLD_KEYS = {
    *("apiKey", "encryption", "mcpServers"),
    *("gateway", "bus", "registry", "coordination"),
}


def read_config(data: Any) -> tuple[Config | None, list[Finding]]:
    """The configuration that ``data`` describes, with all that is wrong with its form.

    Where something is wrong, the configuration is of what is left without it, so that the rest
    can be examined as well. None when nothing can be made of it.
    """
    findings = {finding.path: finding for finding in _foreign_ids(data)}
    for _ in range(20):
        try:
            return Config.model_validate(data, by_alias=True, by_name=False), [*findings.values()]
        except ValidationError as error:
            errors = error.errors(include_url=False)
        for details in errors:
            path, finding = _explain(details, data)
            findings.setdefault(finding.path, finding)
            data = _without(data, path)
    return None, [*findings.values()]


def is_secret(path: Path) -> bool:
    """Whether the value at a path may be, or hold, a key."""
    return not _MAY_HOLD_KEYS.isdisjoint(path)


def _foreign_ids(data: Any) -> Iterator[Finding]:
    """The attribute ``id`` is the key of the entry; the file cannot say another one."""
    for block in ("providerTemplates", "sessions"):
        entries = data.get(block) if isinstance(data, dict) else None
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "id" in entry:
                yield Finding(
                    (block, name, "id"), "unknown key", f"The id is the entry's own key, {name!a}"
                )


def _explain(details: Mapping[str, Any], data: Any) -> tuple[Path, Finding]:
    """The path to leave out, and the finding."""
    kind, context = details["type"], details.get("ctx", {})
    path: Path = details["loc"]
    value = details["input"]
    if kind == "missing":
        finding = Finding(path, "is required and missing", missing=True)
        return path[:-1], finding
    if kind == "extra_forbidden":
        return path, Finding(path, "unknown key", _did_you_mean(path))
    shown = "" if is_secret(path) else f", not {_show(value)}"
    if kind in _KINDS:
        return path, Finding(path, f"{_KINDS[kind]}{shown or f', not {_name_of(value)}'}")
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return path, Finding(path, f"must be {words} {context[key]:g}{shown}")
    if kind == "literal_error":
        allowed = context["expected"].replace("'", "").replace(" or ", ", ")
        close = nearest(value, allowed.split(", "), cutoff=0.7) if isinstance(value, str) else ""
        hint = f"Did you mean {close}?" if close else ""
        return path, Finding(path, f"must be one of {allowed}{shown}", hint)
    if kind == "value_error":
        message, _, hint = str(context["error"]).partition("; ")
        return path, Finding(path, message, hint[:1].upper() + hint[1:])
    if kind in ("string_too_short", "too_short"):
        return path, Finding(path, "must not be empty")
    if kind == "finite_number":
        return path, Finding(path, "must be a finite number")
    return path, Finding(path, str(details["msg"]))


def _show(value: Any) -> str:
    """A value in a message: scalars as JSON writes them, the rest by kind; never long."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:40] + '…'!a}"
    if isinstance(value, int | float):
        return str(value)[:40]
    return _name_of(value)


def _name_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")


def _did_you_mean(path: Path) -> str:
    known = _known_keys(path[:-1])
    close = nearest(str(path[-1]), known, cutoff=0.7)
    if close:
        return f"Did you mean {close}?"
    return f"Known here: {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""


def _known_keys(path: Path) -> list[str]:
    """The keys of the object at a path, by walking the schema."""
    kind: Any = Config
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {field.alias: field.annotation for field in kind.model_fields.values()}
            kind = _inner(fields.get(str(part)))
        else:
            arguments = typing.get_args(kind)
            container = typing.get_origin(kind)
            kind = _inner(arguments[0 if container is tuple else -1]) if arguments else None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        aliases = [field.alias or name for name, field in kind.model_fields.items()]
        return [alias for alias in aliases if alias not in ("id", "$schema")]
    return []


def _inner(annotation: Any) -> Any:
    """An annotation without ``None`` beside it and without what is said about it."""
    arguments = [each for each in typing.get_args(annotation) if each is not type(None)]
    if typing.get_origin(annotation) is typing.Annotated:
        return _inner(arguments[0])
    if len(arguments) == 1 and typing.get_origin(annotation) not in (dict, tuple):
        return _inner(arguments[0])
    return annotation


def _without(data: Any, path: Path) -> Any:
    """A copy of the data without what is at a path; of a list, nothing is left."""
    if not path or not isinstance(data, dict):
        return {}
    first, rest = path[0], path[1:]
    if first not in data:
        return data
    if not rest or isinstance(data[first], list):
        return {key: value for key, value in data.items() if key != first}
    return {**data, first: _without(data[first], rest)}
