"""Which tools a session may use."""

from __future__ import annotations

import fnmatch

from clawd.config.schema import ToolSettings


def permitted(tools: ToolSettings, name: str) -> bool:
    """Whether ``tools.allow`` and ``tools.deny`` let a session use this tool."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in tools.deny):
        return False
    return tools.allow is None or any(fnmatch.fnmatchcase(name, pattern) for pattern in tools.allow)
