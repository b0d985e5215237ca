"""Which group a tool belongs to, as lists show it."""

from __future__ import annotations

from clawd.agent.tool import Tool

OWN = "own"


def group_of(tool: Tool) -> str:
    """``files``, ``comms`` …; the operator's own with their module, as ``own: weather``."""
    module = str(getattr(tool.function, "__module__", ""))
    root, _, rest = module.partition(".")
    if root != "clawd":
        return f"{OWN}: {module}"
    return rest.removeprefix("tools.").partition(".")[0]
