"""clawd: a long-running daemon of personal-agent sessions."""

from __future__ import annotations

__version__ = "0.1.0"
