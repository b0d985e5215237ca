"""A task as it is when it is given: nothing of it is stored or told yet."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from clawd.comms.caller import Caller
from clawd.comms.models import AsyncTask
from clawd.errors import Invalid
from clawd.ids import new_id, now, timestamp
from clawd.lineage import Lineage

MAX_DEADLINE_SECONDS = 366 * 86_400.0


def check_deadline(seconds: float | None) -> None:
    """``Invalid`` for a time that a task cannot be given."""
    if seconds is not None and not 0 < seconds <= MAX_DEADLINE_SECONDS:
        raise Invalid(
            "invalid_deadline",
            f"deadline_seconds must be more than 0 and at most {MAX_DEADLINE_SECONDS:.0f}",
        )


def chained(caller: Caller, lineage: Lineage) -> Lineage:
    """This lineage with the chain of those who gave tasks, down to the creator of a new one."""
    chain = caller.lineage.tasks
    # A message may have come back up the chain: only what lies above the creator counts.
    above = chain.index(caller.session) if caller.session in chain else len(chain)
    return msgspec.structs.replace(lineage, tasks=(*chain[:above], caller.session))


def drafted(
    creator: str,
    to: str,
    task: str,
    lineage: Lineage,
    parent: AsyncTask | None,
    deadline_seconds: float | None,
    **given: Any,
) -> AsyncTask:
    """A new task; a parent that has ended is none."""
    return AsyncTask(
        id=new_id("task"),
        from_session=creator,
        to_session=to,
        task=task,
        status="pending",
        created_at=now(),
        deadline=timestamp(time.time() + deadline_seconds) if deadline_seconds else None,
        parent_task=parent.id if parent is not None and not parent.final else None,
        lineage=msgspec.structs.replace(lineage, tasks=(*lineage.tasks, to)),
        **given,
    )
