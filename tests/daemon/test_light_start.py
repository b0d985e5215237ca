"""A daemon is ready before it has loaded what only some of its work needs."""

from __future__ import annotations

import subprocess
import sys

LATER = ("openai", "aiohttp", "httpx2", "httpcore2", "mcp", "yaml", "regex", "cryptography")


def test_what_is_heavy_is_loaded_later() -> None:
    """The model client, the way out, the optional groups: with their first use, or behind it."""
    code = f"import sys, clawd.daemon.app; print([m for m in {LATER!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert loaded.stdout.strip() == "[]"
