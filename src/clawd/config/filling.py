"""Texts with references inside them, such as ``Bearer ${TOKEN}``, and what they refer to.

Nothing here puts what was filled in into a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from clawd.config.keys import resolve_key
from clawd.errors import Invalid
from clawd.secrets import Secret

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"


def refers(text: str) -> bool:
    """Whether a text is ``file:PATH`` or holds ``${NAME}``."""
    return text.startswith(_FILE) or _VARIABLE.search(text) is not None


def filled(written: Secret, environ: Mapping[str, str], home: Path | None) -> str:
    """The text with each ``${NAME}`` replaced; of ``file:PATH``, what the file holds.

    BLOCKS on a file. ``Invalid`` names the variable or file that is missing.
    """
    text = written.reveal()
    if text.startswith(_FILE):
        found = resolve_key(written, environ, home)
        return found.reveal() if found is not None else ""
    for name in _VARIABLE.findall(text):
        if not environ.get(name):
            state = "is empty" if name in environ else "is not set"
            raise Invalid(
                "key_missing",
                f"refers to environment variable {name}, which {state}",
                hint=f"Set {name} in the daemon's environment",
                missing=name,
            )
    return _VARIABLE.sub(lambda match: environ[match[1]], text)


def secrets_in(text: str, environ: Mapping[str, str], home: Path | None) -> Iterator[Secret]:
    """What a text refers to, as far as it is there; BLOCKS on a file."""
    if text.startswith(_FILE):
        try:
            found = resolve_key(Secret(text), environ, home)
        except Invalid:
            return
        if found is not None:
            yield found
        return
    for name in _VARIABLE.findall(text):
        if value := environ.get(name, "").strip():
            yield Secret(value)
