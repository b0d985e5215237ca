"""What a model can do to have further sessions: seed 004's tools for creating them."""

from __future__ import annotations

from clawd.agent.tool import Answer, tool
from clawd.comms.caller import Caller
from clawd.comms.creation import SessionCreation
from clawd.comms.manager import SessionCommsManager


class SessionTools:
    """Create sessions."""

    def __init__(self, comms: SessionCommsManager, caller: Caller) -> None:
        self._comms = comms
        self._caller = caller

    @tool()
    async def list_provider_templates(self) -> Answer:
        """List the provider templates that a new session can use."""
        templates = self._comms.host.templates()
        lines = [f"- {t['id']}: {t['name']}, default model {t['defaultModel']}" for t in templates]
        return Answer("\n".join([f"{len(templates)} templates:", *lines]), {"templates": templates})

    @tool()
    async def create_session(
        self,
        session_id: str,
        provider_template: str,
        name: str,
        description: str = "",
        model: str | None = None,
        identity_content: str | None = None,
        soul_content: str | None = None,
        user_content: str | None = None,
        memory_content: str | None = None,
        role: str = "hybrid",
        capabilities: list[str] | None = None,
        enable_a2a: bool = True,
        hidden_from_agents: bool = False,
    ) -> Answer:
        """Create a new session with an identity of its own; it runs at once.

        Args:
            session_id: a new id of letters, digits, _ and -
            provider_template: the template whose model it uses (list_provider_templates)
            name: its display name
            description: what it is for, in one sentence
            model: a model of the template, its default when left out
            identity_content: its IDENTITY.md
            soul_content: its SOUL.md
            user_content: its USER.md
            memory_content: its MEMORY.md
            role: creative, deterministic or hybrid
            capabilities: what it offers to others
            enable_a2a: whether it can work with other sessions
            hidden_from_agents: keep it out of list_agents
        """
        contents = {
            "IDENTITY.md": identity_content,
            "SOUL.md": soul_content,
            "USER.md": user_content,
            "MEMORY.md": memory_content,
        }
        wanted = SessionCreation(
            session_id,
            provider_template,
            name,
            description,
            model,
            {file: text for file, text in contents.items() if text is not None},
            role,
            tuple(capabilities or ()),
            enable_a2a,
            hidden_from_agents,
        )
        entry = await self._comms.host.create(self._caller, wanted)
        facts = {
            "id": entry.id,
            "name": entry.name,
            "template": provider_template,
            "status": self._comms.host.status(entry.id),
        }
        return Answer(f"Session {entry.id} is running.", facts)
