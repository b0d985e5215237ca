"""Keys of parts that are not built yet: they load, and are reported as doing nothing."""

from __future__ import annotations

from typing import Any

from clawd.config.problem import Path, dotted

PARTS_TO_COME: tuple[tuple[str, ...], ...] = (
    ("gateway",),
    ("bus",),
    ("registry",),
    ("coordination",),
    ("sessions", "*", "kind"),
    ("sessions", "*", "entrypoint"),
    ("sessions", "*", "contracts"),
)
"""Shorten this as parts are added; ``*`` is any key."""

_AS_IF_ABSENT: tuple[Any, ...] = (False, None, "", "model", [], {}, {"enabled": False})


def inactive_keys(data: Any) -> list[str]:
    """The shown paths of the keys in a file that ask for a part that is not there."""
    found: list[str] = []
    for pattern in PARTS_TO_COME:
        found += [dotted(path) for path in _matches(data, pattern, ())]
    return sorted(found)


def _matches(data: Any, pattern: tuple[str, ...], at: Path) -> list[Path]:
    if not pattern:
        return [] if any(data == absent for absent in _AS_IF_ABSENT) else [at]
    if not isinstance(data, dict):
        return []
    names = list(data) if pattern[0] == "*" else [name for name in data if name == pattern[0]]
    return [path for name in names for path in _matches(data[name], pattern[1:], (*at, name))]
