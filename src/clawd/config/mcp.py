"""The MCP servers of a session, as they stand under `sessions.<id>.mcpServers`."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from clawd.config.provider import check_address
from clawd.config.record import Listing, Record, SecretText, Text

_NAME = re.compile(r"(?!.*__)[A-Za-z0-9_-]{0,31}[A-Za-z0-9-]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_PROCESS_ALONE = ("args", "env", "cwd", "sandbox", "network", "readable", "writable")


def check_server_name(name: str) -> str:
    """The name itself; ``ValueError`` when tools could not be named after it.

    The first ``__`` of a tool's name ends that of its server: no two servers can share a name.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"{name[:80]!a} cannot name a server; use 1 to 32 letters, digits, '-' and single '_'"
        )
    return name


def _check_url(text: str) -> str:
    return check_address(text, "https://host/mcp", "headers")


class McpServer(Record):
    """One server: a ``command`` that is started, or the ``url`` of one that runs.

    Values of ``env`` and ``headers`` may hold ``${NAME}``, or be ``file:PATH``: see
    `clawd.config.filling`.
    """

    command: Text | None = None
    args: Listing[str] = ()
    env: dict[str, SecretText] = Field(default_factory=dict)
    """All of its environment besides PATH, HOME, LANG and the like: nothing is inherited."""
    cwd: Text | None = None
    """Relative to the workspace, which it is unless given."""
    sandbox: bool = True
    """Without it the command runs as the daemon itself."""
    network: bool = False
    """Whether the sandbox has the network."""
    readable: Listing[Text] = ()
    """Further files and folders that the sandbox shows; relative to the home folder, or absolute.
    """
    writable: Listing[Text] = ()
    """Likewise, and the server may change them."""
    url: Annotated[str, AfterValidator(_check_url)] | None = None
    headers: dict[str, SecretText] = Field(default_factory=dict)
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """The longest time that one call of a tool may take."""
    allow: Listing[Text] | None = None
    """Patterns over the names that the server gives its tools; None is all of them."""
    deny: Listing[Text] = ()

    @field_validator("command", "cwd")
    @classmethod
    def _plain(cls, text: str | None) -> str | None:
        if text is not None and ("\0" in text or "\n" in text):
            raise ValueError("must not hold a line break or a NUL")
        return text

    @field_validator("args")
    @classmethod
    def _open(cls, arguments: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in each for each in arguments):
            raise ValueError("must not hold a NUL")
        if any("${" in each for each in arguments):
            raise ValueError(
                "arguments are not filled in, for every user of this machine can read them; "
                "put ${NAME} into env"
            )
        return arguments

    @field_validator("env")
    @classmethod
    def _variables(cls, env: dict[str, SecretText]) -> dict[str, SecretText]:
        for name in env:
            if _VARIABLE.fullmatch(name) is None:
                raise ValueError(f"{name[:80]!a} is no name of an environment variable")
        return env

    @field_validator("headers")
    @classmethod
    def _fields(cls, headers: dict[str, SecretText]) -> dict[str, SecretText]:
        for name in headers:
            if _HEADER.fullmatch(name) is None:
                raise ValueError(f"{name[:80]!a} is no name of a header")
        return headers

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either a command or a url")
        if self.url is not None:
            for key in _PROCESS_ALONE:
                if key in self.model_fields_set:
                    raise ValueError(f"{key} belongs to a command, and this is a url")
        elif self.headers:
            raise ValueError("headers belong to a url, and this is a command")
        return self

    @property
    def shown(self) -> str:
        """What is started or asked, on one line, without anything secret."""
        return self.url or " ".join([self.command or "", *self.args])
