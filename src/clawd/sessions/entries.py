"""What others may know of a session with these settings, and whether its model is there."""

from __future__ import annotations

from clawd.comms.directory import Entry
from clawd.config.references import check_session
from clawd.config.schema import Config, SessionSettings
from clawd.errors import Invalid


def check_model(config: Config, settings: SessionSettings) -> None:
    """``Invalid`` when the model that a session names is not offered by its template.

    Also when a limit on costs is in force and the model has no price.
    """
    template = config.template_of(settings)
    model = settings.provider.model
    if model is not None and model not in template.available_models:
        raise Invalid(
            "unknown_model",
            f"{model!r} is not offered by template {template.id!r}",
            hint=f"models: {', '.join(template.available_models)}",
        )
    for finding in check_session(config, settings):
        if finding.severity == "error":
            raise Invalid("invalid_model", finding.message, hint=finding.hint)


def entry_of(settings: SessionSettings, creators: tuple[str, ...] = ()) -> Entry:
    """What others may know of a session with these settings, which these sessions made."""
    return Entry(
        settings.id,
        settings.name,
        settings.description,
        settings.role,
        tuple(settings.capabilities),
        settings.a2a.organization,
        settings.enabled,
        settings.a2a.enabled,
        settings.a2a.hidden_from_agents,
        settings.a2a.wake_on_message,
        settings.a2a.access,
        creators,
    )
