"""What a session reads of a command."""

from __future__ import annotations

import signal
from pathlib import Path

from clawd.agent.tool import Answer
from clawd.messages import JSON
from clawd.tools.exec.output import Output
from clawd.tools.exec.running import Ended


def answer(ended: Ended, output: Output, workspace: Path) -> Answer:
    """How it ended, and its output: whole, or its start and its end and where the rest is."""
    where = kept_at(output, workspace)
    facts: JSON = {"exitCode": ended.code, "seconds": ended.seconds, "outputBytes": output.size}
    lines = [f"[{outcome(ended)}]", output.shown().rstrip("\n") or "(no output)"]
    if ended.why:
        facts["ended"] = ended.why
    if where:
        facts["file"] = where
        lines.append(f"[the whole output is in {where}]")
    if output.problem:
        lines.append(f"[the output could not be kept: {output.problem}]")
    return Answer("\n".join(lines), facts)


def outcome(ended: Ended) -> str:
    """In a few words, such as ``exit 1 after 0.31 s``."""
    if ended.why:
        return ended.why if ended.why.startswith("timed") else f"{ended.why}; {ended.seconds:g} s"
    code = ended.code or 0
    name = ""
    if code > 128:
        try:
            name = f" ({signal.Signals(code - 128).name})"
        except ValueError:
            name = ""
    return f"exit {code}{name} after {ended.seconds:.2f} s"


def kept_at(output: Output, workspace: Path) -> str:
    """The file with the whole output, relative to the workspace; "" when there is none."""
    if output.kept is None:
        return ""
    return output.kept.relative_to(workspace.resolve()).as_posix()
