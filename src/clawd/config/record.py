"""What all parts of the configuration have in common."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from clawd.secrets import HIDDEN, Secret


def camel(name: str) -> str:
    """The key in a file of an attribute: ``hidden_from_agents`` is ``hiddenFromAgents``."""
    if name == "schema_":
        return "$schema"
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise PydanticCustomError("string_type", "Input should be a valid string")


Item = TypeVar("Item")

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Listing = Annotated[tuple[Item, ...], Field(strict=False)]
"""A JSON list, kept as a tuple; its items are checked strictly."""
SecretText = Annotated[
    Secret,
    PlainValidator(_secret),
    PlainSerializer(lambda _: HIDDEN, return_type=str),
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True}),
]
"""Text that is, or may be, a key: ``***`` wherever it is written out."""


class Record(BaseModel):
    """A frozen JSON object with camelCase keys; keys that begin with ``x-`` are left out."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=camel,
        validate_by_alias=True,
        validate_by_name=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_extensions(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if not str(key).startswith("x-")}
        return data
