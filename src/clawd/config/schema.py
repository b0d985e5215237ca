"""The whole of ``config.json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from clawd.config.limits import Limits
from clawd.config.provider import (
    BUILT_IN,
    OFFLINE,
    OFFLINE_ENDPOINT,
    Price,
    ProviderChoice,
    ProviderTemplate,
)
from clawd.config.record import Amount, Listing, Positive, Record, SecretText
from clawd.config.session import (
    A2A,
    AccessRule,
    ContextSettings,
    Curiosity,
    SessionSettings,
    ToolSettings,
)
from clawd.config.web import WebSearch

__all__ = [
    "A2A",
    "OFFLINE",
    "OFFLINE_ENDPOINT",
    "AccessRule",
    "Config",
    "ContextSettings",
    "Curiosity",
    "Encryption",
    "IdentityLimits",
    "Limits",
    "LogSettings",
    "Price",
    "ProviderChoice",
    "ProviderTemplate",
    "Retention",
    "SessionSettings",
    "ToolSettings",
    "WebSearch",
    "limits_for",
]


class Retention(Record):
    """How long what is finished is kept."""

    tasks_hours: Amount = 24.0
    usage_days: Amount = 30.0
    """After so many days what was used is kept by day, session and model alone."""


class Encryption(Record):
    """The keys of content that is sealed at rest: ``key`` seals, all of them open."""

    key: SecretText | None = None
    """None is ``${CLAWD_ENCRYPTION_KEY}``."""
    old_keys: Listing[SecretText] = ()


class LogSettings(Record):
    """The structured logs: rotated at ``max_bytes``, with ``keep`` old files beside the new."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    max_bytes: Annotated[int, Field(ge=4096)] = 10 * 1024 * 1024
    keep: Annotated[int, Field(ge=0, le=1000)] = 5


class IdentityLimits(Record):
    """How much of the identity files enters a prompt, in bytes of UTF-8."""

    file_bytes: Positive = 64 * 1024
    total_bytes: Positive = 256 * 1024


class Config(Record):
    """A configuration in which everything refers to something that exists."""

    schema_: str | None = None
    provider_templates: dict[str, ProviderTemplate] = Field(default_factory=dict)
    """By id, in the order of the file; `offline` is always there, last unless written."""
    sessions: dict[str, SessionSettings] = Field(default_factory=dict)
    limits: Limits = Limits()
    identity: IdentityLimits = IdentityLimits()
    retention: Retention = Retention()
    encryption: Encryption = Encryption()
    log: LogSettings = LogSettings()
    gateway: dict[str, Any] = Field(default_factory=dict, repr=False)
    bus: dict[str, Any] = Field(default_factory=dict, repr=False)
    registry: dict[str, Any] = Field(default_factory=dict, repr=False)
    coordination: dict[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _with_ids(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # Built by attribute name in code, by key from a file: both get the same completion.
        name = "provider_templates" if "provider_templates" in data else "providerTemplates"
        templates, sessions = data.get(name, {}), data.get("sessions", {})
        changed = dict(data)
        if isinstance(templates, dict):
            own = templates.get(OFFLINE, {})
            complete = {OFFLINE: {**BUILT_IN, **own}} if isinstance(own, dict) else {}
            changed[name] = _keyed({**templates, **complete})
        if isinstance(sessions, dict):
            changed["sessions"] = _keyed(sessions)
        return changed

    @property
    def default_template(self) -> str:
        """The template of a session that names none: the first, or `offline`."""
        return next(iter(self.provider_templates))

    def template_of(self, session: SessionSettings) -> ProviderTemplate:
        """The template that serves a session; an inline provider makes one, ``inline:<id>``."""
        choice = session.provider
        if choice.endpoint is None:
            name = choice.template or self.default_template
            return self.provider_templates.get(name) or _gone(name, choice.model or "unknown")
        model = choice.model or ""  # ProviderChoice has checked that there is one
        return ProviderTemplate(
            id=f"inline:{session.id}",
            name=f"inline of {session.id}",
            endpoint=choice.endpoint,
            api_key=choice.api_key,
            available_models=(model,),
            default_model=model,
            context_window=choice.context_window or 128_000,
            fallback=choice.fallback,
        )

    def model_of(self, session: SessionSettings) -> str:
        """The model that serves a session."""
        return session.provider.model or self.template_of(session).default_model

    def fallback_of(self, session: SessionSettings) -> str | None:
        """The template to try next for a session: its own choice, or its template's."""
        return session.provider.fallback or self.template_of(session).fallback


def _keyed(entries: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {**entry, "id": key} if isinstance(entry, dict) else entry
        for key, entry in entries.items()
    }


def limits_for(config: Config, session: SessionSettings) -> Limits:
    """The limits of a session: its own values where it sets them, else the top-level ones."""
    own = session.limits
    if not own.model_fields_set:
        return config.limits
    return config.limits.model_copy(
        update={name: getattr(own, name) for name in own.model_fields_set}
    )


def _gone(name: str, model: str) -> ProviderTemplate:
    """What stands for a template that was taken out while a session made at run time uses it."""
    return ProviderTemplate(
        id=name,
        description="not in config.json",
        endpoint="http://template-is-gone.invalid",
        available_models=(model,),
        default_model=model,
    )
