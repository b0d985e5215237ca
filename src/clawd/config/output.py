"""Settings written back out: as a file's entry, with keys hidden, and as a JSON Schema."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from clawd.config.literals import ADDRESS_WITH_USER, HOLDERS, named_secret
from clawd.config.schema import Config, SessionSettings
from clawd.secrets import HIDDEN

_LOOSE = ("gateway", "bus", "registry", "coordination")


def session_json(settings: SessionSettings) -> dict[str, Any]:
    """The entry under `sessions` that makes these settings: camelCase, without defaults.

    It is meant for `state/sessions.jsonl` and for adoption into a file, so an inline `apiKey`
    stands in it as it was written. Show it to nobody without `redacted_session`.
    """
    entry: dict[str, Any] = settings.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"id"}
    )
    # A limit counts when it is set, also when it is set to what happens to be the default.
    limits = settings.limits.model_dump(mode="json", by_alias=True, exclude_unset=True)
    entry |= {"limits": limits} if limits else {}
    if entry.get("name") == settings.id:
        del entry["name"]
    if entry.get("workspace") == f"workspaces/{settings.id}":
        del entry["workspace"]
    key = settings.provider.api_key
    if key is not None:
        entry["provider"]["apiKey"] = key.reveal()
    search = settings.tools.search
    if search is not None and search.api_key is not None:
        entry["tools"]["search"]["apiKey"] = search.api_key.reveal()
    for name, server in settings.mcp_servers.items():
        for block, values in (("env", server.env), ("headers", server.headers)):
            if values:
                revealed = {key: value.reveal() for key, value in values.items()}
                entry["mcpServers"][name][block] = revealed
    return entry


def redacted_session(settings: SessionSettings) -> dict[str, Any]:
    """`session_json` with every key as ``***``."""
    return _hide_session(session_json(settings))


def redacted(config: Config) -> dict[str, Any]:
    """The configuration in force, defaults included, in camelCase, with every key as ``***``."""
    whole: dict[str, Any] = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    for entry in [*whole["providerTemplates"].values(), *whole["sessions"].values()]:
        entry.pop("id", None)
    for template in whole["providerTemplates"].values():
        if "apiKey" in template:
            template["apiKey"] = HIDDEN
    for name, session in config.sessions.items():
        whole["sessions"][name]["limits"] = session.limits.model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        _hide_session(whole["sessions"][name])
    for block in _LOOSE:
        whole[block] = _hide(whole[block])
    return whole


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``config.json``, for editors."""
    schema = Config.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "clawd configuration"
    for part in [schema, *schema.get("$defs", {}).values()]:
        if part.get("type") != "object":
            continue
        part.get("properties", {}).pop("id", None)
        # Not said by the models, because such keys are left out before they are looked at.
        part["patternProperties"] = {"^x-": {}}
    return schema


def records() -> list[type[BaseModel]]:
    """Every model that a file can hold, the whole first."""
    found: list[type[BaseModel]] = []
    waiting: list[Any] = [Config]
    while waiting:
        kind = waiting.pop(0)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind not in found:
                found.append(kind)
                waiting += [field.annotation for field in kind.model_fields.values()]
        else:
            waiting += getattr(kind, "__args__", ())
    return found


def _hide_session(entry: dict[str, Any]) -> dict[str, Any]:
    for holder in (entry.get("provider", {}), entry.get("tools", {}).get("search") or {}):
        if "apiKey" in holder:
            holder["apiKey"] = HIDDEN
    for block in ("mcpServers", "schedules"):
        if block in entry:
            entry[block] = _hide(entry[block])
    return entry


def _hide(value: Any, secret: bool = False) -> Any:
    """A loose value without what may be a key: by its name, or the place where keys are put."""
    if isinstance(value, dict):
        return {
            name: _hide(inner, secret or name in HOLDERS or named_secret(name))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_hide(inner, secret) for inner in value]
    if secret and value not in (None, "", True, False):
        return HIDDEN
    if isinstance(value, str):
        return ADDRESS_WITH_USER.sub(rf"\1{HIDDEN}@", value)
    return value
