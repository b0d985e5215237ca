"""What a worker shows for its verdict: files and calls that are looked at, never believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from clawd.comms.caller import Caller
from clawd.comms.models import AsyncTask
from clawd.errors import Refused
from clawd.ids import OPERATOR
from clawd.lineage import Lineage

COMPLETE = "complete_async_task"


def verified(caller: Caller) -> bool:
    """Whether the turn did anything but end the task; the operator's word always counts."""
    return caller.session == OPERATOR or any(name != COMPLETE for name, _ in caller.done.values())


def stamped(caller: Caller, task: AsyncTask) -> dict[str, Any]:
    """What a verdict says of the turn that gave it: whether a tool was used, what it has read."""
    return {"verified": verified(caller), "lineage": marked(task, caller.trust.untrusted)}


def marked(task: AsyncTask, untrusted: bool) -> Lineage | None:
    """The lineage of a task to which something was added, maybe after reading from outside."""
    if task.lineage is None or not untrusted:
        return task.lineage
    return msgspec.structs.replace(task.lineage, untrusted=True)


def check_evidence(caller: Caller, evidence: list[str]) -> None:
    """``Refused`` for a call that did not succeed, and for what is neither file nor call."""
    for item in evidence:
        if item in caller.done:
            if not caller.done[item][1]:
                raise Refused(
                    "evidence_failed",
                    f"the tool call {item} did not succeed",
                    hint="name one that did",
                )
        elif caller.workspace is None or not _inside(caller.workspace, item):
            raise Refused(
                "evidence_missing",
                f"{item[:200]!a} is neither a file in the workspace nor a call of this turn",
                hint="name files by their path in the workspace",
            )


def _inside(workspace: Path, name: str) -> bool:
    try:
        path = (workspace / name).resolve()
        return path.is_relative_to(workspace.resolve()) and path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False
