"""Where models are: provider templates, and a session's choice among them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from clawd.config.record import Listing, Positive, Record, SecretText, Text

OFFLINE = "offline"
OFFLINE_ENDPOINT = "offline:"
"""The endpoint of the built-in rule-based model; any template may name it."""


def check_endpoint(text: str) -> str:
    """The endpoint itself; ``ValueError`` when it is no plain http(s) address."""
    return text if text == OFFLINE_ENDPOINT else check_address(text, "https://host/v1", "apiKey")


def check_address(text: str, form: str, key_place: str) -> str:
    """The address itself; ``ValueError`` when it is no plain http(s) address, with its ``form``.

    The message never repeats the address, which may hold a key: that belongs into ``key_place``.
    """
    use = f"; use {form}"
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError(f"holds a space or a control character{use}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"is not a valid address{use}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"must begin with https:// or http://{use}")
    if not host:
        raise ValueError(f"names no host{use}")
    if "@" in parts.netloc:
        raise ValueError(
            f"must not hold a user name or a key{use}, and put the key into {key_place}"
        )
    if "#" in text:
        raise ValueError(f"must not have a part after '#'{use}")
    return text


Endpoint = Annotated[str, AfterValidator(check_endpoint)]


def is_loopback(endpoint: str) -> bool:
    """Whether the endpoint's host is this machine, judged by its name alone."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Price(Record):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ProviderTemplate(Record):
    """An endpoint with its key and models, named so that sessions can share it."""

    id: str = ""
    name: Text = ""
    """The id unless given."""
    description: str = ""
    endpoint: Endpoint
    api_key: SecretText | None = None
    """The reference as written, not the key itself: see `clawd.config.keys.resolve_key`."""
    available_models: Annotated[Listing[Text], Field(min_length=1)]
    default_model: Text
    embedding_model: Text | None = None
    context_window: Annotated[int, Field(ge=256)] = 128_000
    fallback: Text | None = None
    max_concurrency: Positive = 8
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    prices: dict[str, Price] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return {"name": data["id"], **data} if isinstance(data, dict) and data.get("id") else data

    @field_validator("available_models")
    @classmethod
    def _distinct(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(models)) < len(models):
            raise ValueError("names a model twice")
        return models

    @property
    def is_offline(self) -> bool:
        """Whether the built-in model answers: no key, no network, no cost."""
        return self.endpoint == OFFLINE_ENDPOINT


BUILT_IN: dict[str, Any] = {
    "name": "Offline",
    "description": "The built-in rule-based model: no key, no network",
    "endpoint": OFFLINE_ENDPOINT,
    "availableModels": [OFFLINE],
    "defaultModel": OFFLINE,
}
"""The `offline` template as it would stand in a file."""


class ProviderChoice(Record):
    """A session's model: by template (None is the first one), or inline with an endpoint."""

    template: Text | None = None
    model: Text | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Positive | None = None
    fallback: Text | None = None
    endpoint: Endpoint | None = None
    api_key: SecretText | None = None
    context_window: Annotated[int, Field(ge=256)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.endpoint is None:
            for key, value in (("apiKey", self.api_key), ("contextWindow", self.context_window)):
                if value is not None:
                    raise ValueError(f"{key} needs an endpoint beside it, or belongs in a template")
        elif self.template is not None:
            raise ValueError("names both a template and an endpoint; keep one of them")
        elif self.model is None:
            raise ValueError("an inline endpoint needs a model beside it")
        return self
