"""A tool whose parameters a server gave."""

from __future__ import annotations

from dataclasses import dataclass

from clawd.agent.tool import Answer, Tool
from clawd.messages import JSON
from clawd.tools.mcp.arguments import check_arguments


@dataclass(frozen=True, slots=True)
class ServerTool(Tool):
    """Its function takes the arguments as one object: their names are the server's."""

    def check(self, arguments: JSON) -> JSON:
        """The same arguments; ``Invalid`` names those that are plainly wrong."""
        check_arguments(self.name, self.declaration.parameters, arguments)
        return arguments

    async def apply(self, given: JSON) -> Answer:
        """Call the server."""
        return await self.function(given)
