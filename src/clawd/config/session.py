"""What one session may be told: the same for an entry of the file and for one made at run time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from clawd.config.limits import Limits
from clawd.config.mcp import McpServer, check_server_name
from clawd.config.patterns import read
from clawd.config.provider import ProviderChoice
from clawd.config.record import Listing, Positive, Record, Text
from clawd.config.schedules import ScheduleEntry, unique
from clawd.config.web import Reach, WebSearch

Right = Literal["list", "read", "send", "wake", "delegate", "create"]
Decision = Literal["allow", "ask", "deny"]
IdentityFile = Literal["IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md"]


class AccessRule(Record):
    """Whether sessions like these have these rights towards this one; the first match decides."""

    from_: Text = "*"
    """A pattern over session ids."""
    organization: Text | None = None
    """A pattern over organizations; None is this session's own."""
    rights: Annotated[Listing[Right], Field(json_schema_extra={"minItems": 1})] = (
        "list", "read", "send", "wake", "delegate", "create",
    )  # fmt: skip
    allow: bool

    @field_validator("rights")
    @classmethod
    def _some(cls, rights: tuple[Right, ...]) -> tuple[Right, ...]:
        # Not a bound of the field: that one would count without the wrong ones, and complain too.
        if not rights:
            raise ValueError("must not be empty")
        return rights


class A2A(Record):
    """How a session stands among the others."""

    enabled: bool = True
    hidden_from_agents: bool = False
    wake_on_message: bool = True
    organization: Text = "default"
    encrypt: bool = False
    access: Listing[AccessRule] = ()


class ToolSettings(Record):
    """Which tools a session has; ``allow`` and ``deny`` are patterns over tool names."""

    files: bool = True
    exec: bool = False
    web: bool = True
    memory: bool = True
    schedule: bool = True
    identity: Listing[IdentityFile] = ("MEMORY.md",)
    """The identity files that the session itself may write."""
    approval: dict[str, Decision] = Field(default_factory=dict)
    """Patterns ``tool``, ``tool(value)`` or ``tool(name=value)``; the first match decides."""
    approval_hours: Annotated[float, Field(gt=0, le=8784)] = 24.0
    """How long a yes is waited for; then it is a no."""
    after_untrusted: Listing[Literal["create_session", "identity", "exec_network"]] = ()
    """What needs no yes in a turn that has read untrusted text."""
    exec_network: bool = False
    """Whether commands reach the network."""
    exec_sandbox: Literal["bubblewrap", "none"] = "bubblewrap"
    """`none` runs commands as the daemon itself: whoever can write to the session owns the user."""
    exec_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """The longest time that a command may ask for."""
    exec_memory_mib: Annotated[int, Field(ge=16)] = 2048
    allow_nets: Listing[Reach] = ()
    """Networks (`192.168.1.0/24`) and hosts that web tools reach though they are not public."""
    load: Listing[Text] = ()
    search: WebSearch | None = None
    allow: Listing[Text] | None = None
    deny: Listing[Text] = ()

    @field_validator("approval")
    @classmethod
    def _readable(cls, patterns: dict[str, Decision]) -> dict[str, Decision]:
        for pattern in patterns:
            read(pattern)
        return patterns

    @field_validator("load")
    @classmethod
    def _dotted(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            module, colon, function = name.partition(":")
            if not (colon and function.isidentifier() and module.replace(".", "_").isidentifier()):
                raise ValueError(f"{name!a} is not of the form package.module:name")
        return names


class ContextSettings(Record):
    """What of a conversation is sent to the model; sizes in tokens."""

    max_tokens: Annotated[int, Field(ge=256)] | None = None
    """None is the model's context window."""
    compression_threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    keep_recent_messages: Positive = 20


class Curiosity(Record):
    """The scan for open questions (`aca`); the interval is in minutes."""

    enabled: bool = False
    scan_interval: Annotated[float, Field(gt=0, le=525_600)] = 60.0
    max_goals_per_cycle: Positive = 3


class SessionSettings(Record):
    """One session. ``id`` is the key under `sessions`, filled in when the file is read."""

    id: str = ""
    name: Text = ""
    """The id unless given."""
    description: str = ""
    enabled: bool = True
    provider: ProviderChoice = ProviderChoice()
    workspace: Text = ""
    """Relative to the home folder; ``workspaces/<id>`` unless given."""
    role: Literal["creative", "deterministic", "hybrid"] = "hybrid"
    capabilities: Listing[Text] = ()
    a2a: A2A = A2A()
    tools: ToolSettings = ToolSettings()
    context: ContextSettings = ContextSettings()
    limits: Limits = Limits()
    """Only the keys that are set here count: ask `clawd.config.schema.limits_for`."""
    aca: Curiosity = Curiosity()
    mcp_servers: dict[str, McpServer] = Field(default_factory=dict)
    schedules: Annotated[Listing[ScheduleEntry], AfterValidator(unique)] = ()
    skills: Listing[Text] | None = None
    """The names of those that are offered; None is all that are found."""
    kind: Literal["model", "code"] = "model"
    entrypoint: Text | None = None
    contracts: dict[str, str] = Field(default_factory=dict)

    @field_validator("mcp_servers")
    @classmethod
    def _named(cls, servers: dict[str, McpServer]) -> dict[str, McpServer]:
        for name in servers:
            check_server_name(name)
        return servers

    @model_validator(mode="before")
    @classmethod
    def _by_id(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("id"):
            return {"name": data["id"], "workspace": f"workspaces/{data['id']}", **data}
        return data
