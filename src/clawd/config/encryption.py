"""The keys of sealed content: from the configuration to a keyring, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from clawd.config.keys import is_literal, key_file, readable_by_others, resolve_key
from clawd.config.schema import Config
from clawd.config.structure import Finding
from clawd.errors import Invalid
from clawd.keyring import EXTRA, Keyring, available, key_bytes
from clawd.secrets import Secret

DEFAULT = Secret("${CLAWD_ENCRYPTION_KEY}")
"""Where the key is looked for when the configuration names none."""


def take_keys(
    ring: Keyring, config: Config, environ: Mapping[str, str], home: Path | None
) -> list[Secret]:
    """Give the ring the keys that can be used, which are returned; it says why one is missing.

    Blocks: keys may stand in files.
    """
    wanted = config.encryption
    old: list[Secret] = []
    for reference in wanted.old_keys:
        key, _ = _usable(reference, environ, home)
        old += [key] if key else []
    key, problem = _usable(wanted.key or DEFAULT, environ, home)
    try:
        ring.take(key, old, f"encryption.key {problem}" if problem else "")
    except Invalid as error:
        ring.take(None, [], error.message)
    return [*old, *([key] if key else [])]


def check_encryption(
    config: Config, environ: Mapping[str, str], home: Path | None, file: Path | None
) -> Iterator[Finding]:
    """What keeps the sessions that want their content sealed from running."""
    private = [session.id for session in config.sessions.values() if session.a2a.encrypt]
    for name in private if not available() else ():
        yield Finding(
            ("sessions", name, "a2a", "encrypt"),
            "needs the library 'cryptography', which is not installed",
            f"Run: {EXTRA}",
        )
    _, problem = _usable(config.encryption.key or DEFAULT, environ, home)
    for name in private if problem else ():
        yield Finding(
            ("sessions", name, "a2a", "encrypt"),
            f"has no key to seal with: encryption.key {problem}",
            f"Run: clawd keys new; until then session '{name}' is held",
            "warning",
        )
    for reference in filter(None, (config.encryption.key, *config.encryption.old_keys)):
        written = file if is_literal(reference) else key_file(reference, environ, home)
        if written is not None and readable_by_others(written):
            yield Finding(
                ("encryption",),
                f"a key stands in {str(written)!a}, which other users can read",
                f"Run: chmod 600 {str(written)!a}",
                "warning",
            )
    for number, reference in enumerate(config.encryption.old_keys):
        _, problem = _usable(reference, environ, home)
        if problem:
            yield Finding(
                ("encryption", "oldKeys", number),
                problem,
                "What is sealed with it stays closed",
                "warning",
            )


def _usable(
    reference: Secret, environ: Mapping[str, str], home: Path | None
) -> tuple[Secret | None, str]:
    try:
        key = resolve_key(reference, environ, home)
        if key is not None:
            key_bytes(key)
    except Invalid as error:
        return None, error.message
    return key, "" if key else "is empty"
