"""A key belongs to the host that it was written for: an edit alone cannot send it elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from clawd.config.keys import origin
from clawd.config.last_good import Write
from clawd.config.reading import read_regular
from clawd.config.schema import Config, ProviderTemplate


class _Binding(NamedTuple):
    key: str
    origin: str


class KeyBindings:
    """Which key each template may send to which origin; kept in ``state/keys.json``.

    The file holds digests of what the configuration says of a key, never a key.
    """

    def __init__(self, home: Path, write: Write) -> None:
        self._file = home / "state" / "keys.json"
        self._write = write
        self._known: dict[str, _Binding] = {}

    def load(self) -> None:
        """Read the file (blocking); one that cannot be read holds nothing."""
        try:
            found = json.loads(read_regular(self._file))
            self._known = {name: _Binding(*map(str, pair)) for name, pair in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._known = {}

    def take(self, config: Config) -> None:
        """Bind what is new: a template of its own name, or with another key (blocking)."""
        new = {
            template.id: _binding(template)
            for template in _with_keys(config)
            if self._is_new(template)
        }
        if new:
            self._store(new)

    def confirm(self, template: ProviderTemplate) -> None:
        """Let the template send its key to where it points now (blocking)."""
        self._store({template.id: _binding(template)})

    def held(self, template: ProviderTemplate) -> str:
        """The origin that the template's key is bound to, when it points to another; else ""."""
        known = self._known.get(template.id)
        if template.api_key is None or known is None or known.origin == origin(template.endpoint):
            return ""
        return known.origin

    def _is_new(self, template: ProviderTemplate) -> bool:
        known = self._known.get(template.id)
        return known is None or known.key != _binding(template).key

    def _store(self, new: dict[str, _Binding]) -> None:
        known = self._known | new
        self._write(self._file, json.dumps(known, indent=1).encode())
        self._known = known


def _with_keys(config: Config) -> Iterable[ProviderTemplate]:
    inline = (
        config.template_of(session)
        for session in config.sessions.values()
        if session.provider.endpoint is not None
    )
    for template in (*config.provider_templates.values(), *inline):
        if template.api_key is not None:
            yield template


def _binding(template: ProviderTemplate) -> _Binding:
    reference = template.api_key.reveal() if template.api_key else ""
    return _Binding(hashlib.sha256(reference.encode()).hexdigest(), origin(template.endpoint))
