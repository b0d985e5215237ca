"""What a session can do besides talking to others.

For an operator's own tools (docs/own-tools.md)::

from clawd.tools import tool

@tool
def forecast(city: str) -> str:
    ...
"""

from __future__ import annotations

from clawd.agent.calling import progress
from clawd.agent.tool import Answer
from clawd.agent.workbench import Workbench
from clawd.tools.own.declaring import tool

__all__ = ["Answer", "Workbench", "progress", "tool"]
