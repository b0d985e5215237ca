"""What commands changed about a session, laid over what the configuration says."""

from __future__ import annotations

from typing import Any

import msgspec

from clawd.config.loader import parse_session
from clawd.config.output import session_json
from clawd.config.schema import Config, SessionSettings
from clawd.errors import Invalid, NotFound
from clawd.ids import now
from clawd.messages import JSON
from clawd.sessions.registry import Registry, SessionRecord

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
        return msgspec.structs.replace(record, settings=settings)
    # One made at run time that the file has taken over since: only what is changed is laid over.
    overlaid = record is not None and not record.created
    settings = dict(record.settings) if record is not None and overlaid else {}
    base = dict(record.base) if record is not None and overlaid else {}
    for key, value in changes.items():
        settings[key] = value
        base[key] = _get(session_json(configured or current), key)
    known = record or SessionRecord(current.id, now(), {})
    return msgspec.structs.replace(
        known, time=now(), settings=settings, base=base, created=False, removed=False
    )


def merged(configured: SessionSettings, record: SessionRecord | None) -> SessionSettings:
    """The settings in force; an edit of that very key in the configuration wins."""
    if record is None or record.created or not record.settings:
        return configured
    entry = session_json(configured)
    for key, value in record.settings.items():
        if key in _PLACES and _get(entry, key) == record.base.get(key):
            _put(entry, key, value)
    return parse_session(configured.id, entry)


def still_valid(configured: SessionSettings, record: SessionRecord) -> SessionRecord:
    """The record without the keys that were edited in the configuration since; itself, if none.

    Such a key is the configuration's from then on, even when it is edited back later.
    """
    if record.created:
        return record
    entry = session_json(configured)
    kept = {
        key: value
        for key, value in record.settings.items()
        if key in _PLACES and _get(entry, key) == record.base.get(key)
    }
    if len(kept) == len(record.settings):
        return record
    base = {key: record.base.get(key) for key in kept}
    return msgspec.structs.replace(record, time=now(), settings=kept, base=base)


def outdated(config: Config, registry: Registry) -> list[SessionRecord]:
    """The records of which the operator has since edited a part in ``config.json``, without it."""
    known = ((configured, registry.get(name)) for name, configured in config.sessions.items())
    pairs = ((record, still_valid(each, record)) for each, record in known if record is not None)
    return [current for record, current in pairs if current is not record]


def wanted_settings(config: Config, registry: Registry) -> dict[str, SessionSettings]:
    """The sessions that there should be: the configured, and those made at run time."""
    wanted = {
        session_id: with_overlay(config, session_id, registry.get(session_id))
        for session_id in config.sessions
    }
    taken = {session_id.lower() for session_id in wanted}
    for record in registry.created():
        if record.id.lower() not in taken:
            wanted[record.id] = parse_session(record.id, record.settings)
    return wanted


def with_overlay(config: Config, session_id: str, record: SessionRecord | None) -> SessionSettings:
    """The settings in force of one session; ``NotFound`` when nobody knows of it."""
    configured = config.sessions.get(session_id)
    if configured is not None:
        return merged(configured, record)
    if record is None:
        raise NotFound("unknown_session", f"there is no session {session_id!r}")
    return parse_session(session_id, record.settings)


def _get(entry: JSON, key: str) -> Any:
    block, name = _PLACES[key]
    return entry.get(block, {}).get(name)


def _put(entry: JSON, key: str, value: Any) -> None:
    block, name = _PLACES[key]
    entry[block] = {**entry.get(block, {}), name: value}
