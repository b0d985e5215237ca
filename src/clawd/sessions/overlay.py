"""What commands changed about a session, laid over what the configuration says."""

from __future__ import annotations

from typing import Any

from clawd.config.loader import parse_session
from clawd.config.output import session_json
from clawd.config.schema import Config, SessionSettings
from clawd.errors import Invalid
from clawd.ids import now
from clawd.messages import JSON
from clawd.sessions.registry import SessionRecord

_PLACES = {"hiddenFromAgents": ("a2a", "hiddenFromAgents"), "model": ("provider", "model")}
_KINDS = {"hiddenFromAgents": bool, "model": str}


def overlay_record(
    config: Config, current: SessionSettings, record: SessionRecord | None, changes: JSON
) -> SessionRecord:
    """The record after these changes; ``Invalid`` for a key that cannot be changed at run time."""
    for key, value in changes.items():
        if key not in _PLACES:
            raise Invalid(
                "unknown_key",
                f"{key[:80]!a} cannot be changed at run time",
                hint=f"keys: {', '.join(_PLACES)}",
            )
        if not isinstance(value, _KINDS[key]):
            raise Invalid("invalid_value", f"{key} must be of type {_KINDS[key].__name__}")
    configured = config.sessions.get(current.id)
    if configured is None and record is not None and record.created:
        settings = session_json(current)
        for key, value in changes.items():
            _put(settings, key, value)
        return SessionRecord(
            id=record.id,
            time=now(),
            settings=settings,
            created=True,
            created_by=record.created_by,
            depth=record.depth,
        )
    settings = dict(record.settings) if record is not None else {}
    base = dict(record.base) if record is not None else {}
    for key, value in changes.items():
        settings[key] = value
        base[key] = _get(session_json(configured or current), key)
    return SessionRecord(id=current.id, time=now(), settings=settings, base=base)


def merged(configured: SessionSettings, record: SessionRecord | None) -> SessionSettings:
    """The settings in force; an edit of that very key in the configuration wins."""
    if record is None or record.created or not record.settings:
        return configured
    entry = session_json(configured)
    for key, value in record.settings.items():
        if key in _PLACES and _get(entry, key) == record.base.get(key):
            _put(entry, key, value)
    return parse_session(configured.id, entry)


def _get(entry: JSON, key: str) -> Any:
    block, name = _PLACES[key]
    return entry.get(block, {}).get(name)


def _put(entry: JSON, key: str, value: Any) -> None:
    block, name = _PLACES[key]
    entry[block] = {**entry.get(block, {}), name: value}
