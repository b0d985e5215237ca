"""``clawd version``."""

from __future__ import annotations

import platform

from clawd import __version__
from clawd.cli.invocation import Invocation, command, pass_invocation


@command("version", "clawd version", "clawd version --json")
@pass_invocation
def version(invocation: Invocation) -> None:
    """Say which version this is, on which Python, with which home."""
    out = invocation.out
    if out.as_json:
        out.document(
            {
                "schema": "clawd.version/1",
                "version": __version__,
                "python": platform.python_version(),
                "home": str(invocation.home),
            }
        )
        return
    out.line(f"clawd {__version__}")
    out.facts((("python", platform.python_version()), ("home", invocation.home)))
