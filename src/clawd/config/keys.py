"""API keys are written as references; this is where a reference becomes a key.

Nothing here puts a key, or a reference that may be one, into a message.
"""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from clawd.errors import Invalid
from clawd.secrets import Secret

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXAMPLE = re.compile(r"YOUR[_-]|[_-]KEY$|^<.*>$|^(sk-)?(x{3,}|\.{3}|…)$|change.?me", re.IGNORECASE)
_FILE = "file:"
_MAX_BYTES = 16 * 1024


def resolve_key(
    reference: Secret | None, environ: Mapping[str, str], home: Path | None
) -> Secret | None:
    """The key behind ``${NAME}``, ``file:PATH`` (relative to home) or a literal.

    None for no reference or an empty one: the endpoint is asked without a key. ``Invalid`` names
    the variable or file that is missing, or says what is wrong with the key, never the key.
    """
    if not reference:
        return None
    written = reference.reveal()
    variable = _VARIABLE.fullmatch(written)
    if variable:
        name = variable.group(1)
        key = environ.get(name, "").strip()
        if not key:
            state = "is empty" if name in environ else "is not set"
            raise Invalid(
                "key_missing",
                f"refers to environment variable {name}, which {state}",
                hint=f"Set {name} in the daemon's environment",
                missing=name,
            )
        return _usable(key, f"environment variable {name}")
    if written.startswith(_FILE):
        return _from_file(written, environ, home)
    return _usable(written, "")


def place_of_key(reference: Secret | None) -> str:
    """Where a key is to be mended, in words that do not show it."""
    if not reference:
        return "there is none"
    written = reference.reveal()
    variable = _VARIABLE.fullmatch(written)
    if variable:
        return f"environment variable {variable.group(1)}"
    return written.removeprefix(_FILE) if written.startswith(_FILE) else "it stands in config.json"


def is_literal(reference: Secret) -> bool:
    """Whether the key itself is written, and not a reference to it."""
    written = reference.reveal()
    return bool(written) and not (_VARIABLE.fullmatch(written) or written.startswith(_FILE))


def key_file(reference: Secret, environ: Mapping[str, str], home: Path | None) -> Path | None:
    """The file that a ``file:PATH`` reference names."""
    written = reference.reveal()
    return _named_file(written, environ, home) if written.startswith(_FILE) else None


def _named_file(reference: str, environ: Mapping[str, str], home: Path | None) -> Path:
    text = reference.removeprefix(_FILE)
    if text.startswith("~/") and "HOME" in environ:
        return Path(environ["HOME"], text[2:])
    return (home or Path()) / text


def readable_by_others(file: Path) -> bool:
    """Whether other users may read a file; False when it is not there."""
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError):
        return False
    return bool(mode & (stat.S_IRGRP | stat.S_IROTH))


@functools.lru_cache(maxsize=256)
def origin(endpoint: str) -> str:
    """Scheme, host and port of an endpoint: what a key is bound to."""
    parts = urlsplit(endpoint)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def _from_file(reference: str, environ: Mapping[str, str], home: Path | None) -> Secret:
    file = _named_file(reference, environ, home)
    shown = ascii(reference.removeprefix(_FILE))
    try:
        # Without blocking: the name may stand for a pipe.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise IsADirectoryError(0, "it is not a regular file")
            content = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it has no valid name"
        raise Invalid(
            "key_missing",
            f"refers to file {shown}, which cannot be read ({reason})",
            hint="Put the key into that file, mode 0600",
            missing=reference.removeprefix(_FILE),
        ) from None
    try:
        key = content.decode().strip() if len(content) <= _MAX_BYTES else ""
    except UnicodeDecodeError:
        key = ""
    if not key:
        raise Invalid(
            "key_missing",
            f"refers to file {shown}, which holds no key",
            hint="Put the key into that file, mode 0600",
            missing=reference.removeprefix(_FILE),
        )
    return _usable(key, f"file {shown}")


def _usable(key: str, source: str) -> Secret:
    where = f"from {source} " if source else ""
    if "\n" in key or "\r" in key:
        raise Invalid("key_unusable", f"{where}contains a line break", hint="Was it pasted?")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Invalid(
            "key_unusable",
            f"{where}contains a character that no key has (a space, or one outside ASCII)",
            hint="Was it pasted?",
        )
    if key.startswith("$"):
        raise Invalid(
            "key_unusable",
            f"{where}begins with '$' but is no reference",
            hint="Write ${NAME} for an environment variable",
        )
    if _EXAMPLE.search(key):
        raise Invalid(
            "key_unusable", f"{where}is the example value", hint="Put your own key in its place"
        )
    return Secret(key)
