"""Whether the commands of sessions can be run: by bubblewrap, which is tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from clawd.cli.checks.check import Check
from clawd.sandbox.probe import try_it

if TYPE_CHECKING:
    from clawd.config.schema import Config


def commands(config: Config) -> Iterator[Check]:
    """Nothing when no session may run any; else whether they run, and what is not confined."""
    able = [s for s in config.sessions.values() if s.enabled and s.tools.exec]
    bare = [s.id for s in able if s.tools.exec_sandbox == "none"]
    if bare:
        text = f"the commands of {', '.join(bare)} run without a sandbox, as this user"
        mend = "leave tools.execSandbox out"
        yield Check("commands", "warning", text, mend)
    if len(bare) == len(able):
        return
    found = try_it()
    if found.problem:
        names = ", ".join(s.id for s in able if s.id not in bare)
        text = f"{found.problem}; {names} can run no commands"
        yield Check("commands", "error", text, found.mend)
    else:
        yield Check("commands", "ok", f"{found.program} makes a sandbox")
