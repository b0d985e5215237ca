"""A tool whose parameters a server gave."""

from __future__ import annotations

from collections.abc import Awaitable

from clawd.agent.tool import Answer, Tool
from clawd.messages import JSON
from clawd.tools.mcp.arguments import check_arguments


class ServerTool(Tool, frozen=True):
    """Its function takes the arguments as one object: their names are the server's."""

    def check(self, arguments: JSON) -> JSON:
        """The same arguments; ``Invalid`` names those that are plainly wrong."""
        check_arguments(self.name, self.declaration.parameters, arguments)
        return arguments

    def apply(self, given: JSON) -> Awaitable[Answer]:
        """Call the server."""
        return self.function(given)
