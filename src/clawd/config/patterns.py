"""Patterns over calls: ``tool``, ``tool(value)`` or ``tool(name=value)``, with ``*`` and ``?``.

A value is that of the tool's first parameter (a command, a path, an address) unless the pattern
names another. In an *allow* for a command a ``*`` stands for nothing that a shell acts on: a rule
for ``git *`` does not let ``git status; rm -r .`` through.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

COMMANDS = frozenset({"exec", "exec_start"})
"""The tools whose first parameter a shell reads."""

_FORM = re.compile(r"(?P<tool>[^()]+)(?:\((?:(?P<name>[A-Za-z_]\w*)=)?(?P<value>.*)\))?", re.DOTALL)
_HARMLESS = r"[^;&|<>`$()\\\n\r]"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, read. ``value`` is ``None`` when any arguments fit."""

    tool: str
    name: str | None = None
    value: str | None = None

    def fits(self, tool: str, given: Mapping[str, Any], *, allows: bool) -> bool:
        """Whether a call is like this; ``allows`` says that it would then need no yes."""
        if not fnmatch.fnmatchcase(tool, self.tool):
            return False
        if self.value is None:
            return True
        name = self.name or next(iter(given), None)
        if name is None or name not in given:
            return False
        like = _matcher(self.value, shell=allows and tool in COMMANDS)
        value = given[name]
        if like(_text(value)):
            return True
        # One of several is enough to be asked or refused, and not to be let through.
        several = [like(_text(each)) for each in value] if isinstance(value, list) else []
        return bool(several) and (all(several) if allows else any(several))


def read(pattern: str) -> Pattern:
    """A pattern from its text; ``ValueError`` when it has no tool."""
    found = _FORM.fullmatch(pattern.strip())
    if found is None or not found["tool"].strip():
        raise ValueError(
            f"{pattern[:80]!a} is not of the form tool, tool(value) or tool(name=value)"
        )
    return Pattern(found["tool"].strip(), found["name"], found["value"])


def just_this(tool: str, given: Mapping[str, object]) -> str:
    """The pattern of calls with the same first argument as this one."""
    if not given:
        return tool
    literal = re.sub(r"([*?\[])", r"[\1]", _text(next(iter(given.values()))))
    return f"{tool}({next(iter(given))}={literal})"


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(maxsize=512)
def _matcher(value: str, *, shell: bool) -> Callable[[str], re.Match[str] | None]:
    """Own translation: ``[x]`` stands for the character x, which may be ``*``, ``?`` or ``[``."""
    anything = _HARMLESS if shell else "."
    source = re.sub(
        r"\[(.)\]|\*|\?|[^*?\[]+|\[",
        lambda m: (
            re.escape(m[1])
            if m[1]
            else {"*": f"{anything}*", "?": anything}.get(m[0], re.escape(m[0]))
        ),
        value,
        flags=re.DOTALL,
    )
    return re.compile(source, re.DOTALL).fullmatch
