"""A task that is given under a key is given once, however often it is asked for."""

from __future__ import annotations

import asyncio

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.model import ScriptedModel


async def test_one_key_is_one_task(start: Start, model: ScriptedModel) -> None:
    """Asked at once and again, over a kill: one task, one execution; another body is refused."""
    daemon = await start("a", "b")
    wanted = {"toSession": "a", "task": "once", "idempotencyKey": "k-1", "deadlineSeconds": 600}
    given = await asyncio.gather(*(daemon.post("/api/tasks", **wanted) for _ in range(8)))
    (task_id,) = {task["id"] for task in given}
    assert (await daemon.task(task_id))["status"] == "completed"
    await daemon.kill()
    await daemon.start()
    assert (await daemon.post("/api/tasks", **wanted))["id"] == task_id
    assert len(model.of("a")) == 1
    for other in ({"task": "else"}, {"toSession": "b"}, {"deadlineSeconds": 5}, {"priority": 9}):
        with pytest.raises(ApiError) as refused:
            await daemon.post("/api/tasks", **{**wanted, **other})
        assert (refused.value.http, refused.value.code) == (409, "idempotency_conflict")
    another = await daemon.post("/api/tasks", **{**wanted, "fromSession": "b"})
    assert another["id"] != task_id, "a key is its creator's own"
    with pytest.raises(ApiError):
        await daemon.post("/api/tasks", **{**wanted, "idempotencyKey": ""})
