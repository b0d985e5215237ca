"""What a task waits for, and what it brings along once that is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from clawd.comms.models import AsyncTask
from clawd.lineage import from_outside

Find = Callable[[str | None], AsyncTask | None]


def unmet(task: AsyncTask, find: Find) -> str:
    """In words which task it was that did not complete; "" when none failed it."""
    needed = [find(task_id) for task_id in task.depends_on]
    failed = next(
        (t for t in needed if t is not None and t.final and t.status != "completed"), None
    )
    if failed is not None:
        return failed.id
    return "one that is gone" if None in needed else ""


def done(task: AsyncTask, find: Find) -> bool:
    """Whether everything that it waits for is."""
    needed = [find(task_id) for task_id in task.depends_on]
    return all(t is not None and t.final for t in needed)


def brought_along(task: AsyncTask, find: Find) -> dict[str, Any]:
    """The task's fields with the results that it needs; their marks are its own from now on."""
    if not task.depends_on:
        return {}
    needed = [t for t in map(find, task.depends_on) if t is not None]
    lineage = task.lineage
    if lineage is not None and any(from_outside(t.lineage) for t in needed):
        lineage = msgspec.structs.replace(lineage, untrusted=True)
    context = {**(task.context or {}), "dependencies": {t.id: t.result for t in needed}}
    return {"context": context, "lineage": lineage}
