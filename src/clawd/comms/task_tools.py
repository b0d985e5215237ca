"""What a model can do with tasks: seed 004's tools for work in the background."""

from __future__ import annotations

from typing import Any, get_args

from clawd.agent.tool import Answer, tool
from clawd.comms.caller import Caller
from clawd.comms.checks import check_priority
from clawd.comms.manager import SessionCommsManager
from clawd.comms.models import AsyncTask, TaskStatus, public
from clawd.errors import Invalid
from clawd.fences import quoted


class TaskTools:
    """Delegate work, look after it, end it."""

    def __init__(self, comms: SessionCommsManager, caller: Caller) -> None:
        self._comms = comms
        self._caller = caller

    @tool()
    async def delegate_task_async(
        self,
        target_session: str,
        task: str,
        context: dict[str, Any] | None = None,
        priority: int | None = None,
        deadline_seconds: float | None = None,
        depends_on: list[str] | None = None,
    ) -> Answer:
        """Give another session a task that it works on in the background.

        Args:
            target_session: the id of the session that is to do it
            task: what is to be done, complete in itself
            context: any JSON object that the worker needs
            priority: from 0 to 10, 5 when left out
            deadline_seconds: fail the task when it is not done in this time
            depends_on: ids of tasks that must be completed first; their results go along
        """
        check_priority(priority)
        made = await self._comms.tasks.delegate(
            self._caller,
            target_session,
            task,
            context=context,
            priority=5 if priority is None else priority,
            deadline_seconds=deadline_seconds,
            depends_on=tuple(depends_on or ()),
        )
        text = (
            f"Task {made.id} is {made.status} with {made.to_session}. You may end your turn; "
            f"the result will arrive as a message in thread {made.id}."
        )
        standing = self._comms.standing(made.to_session)
        if standing:
            text += f" {made.to_session} is paused: the task waits, its deadline runs on."
        facts = {"taskId": made.id, "status": made.status, "createdAt": made.created_at}
        return Answer(text, facts | standing)

    @tool()
    async def check_async_tasks(
        self,
        created_by_me: bool = False,
        assigned_to_me: bool = True,
        task_id: str | None = None,
        status: str | None = None,
    ) -> Answer:
        """Look at the tasks that you work on or that you gave to others.

        Args:
            created_by_me: those that you delegated
            assigned_to_me: those that were given to you
            task_id: only this one, yours in either way
            status: only those in this state, such as pending or completed
        """
        session = self._caller.session
        if status is not None and status not in get_args(TaskStatus):
            raise Invalid(
                "invalid_status",
                f"there is no task status {status[:80]!a}",
                hint=f"statuses: {', '.join(get_args(TaskStatus))}",
            )
        if task_id is not None:
            tasks = [self._comms.tasks.seen_by(session, task_id)]
        else:
            tasks = self._comms.tasks_of(
                session, created=created_by_me, assigned=assigned_to_me, status=status
            )
        for task in tasks:
            self._caller.saw(task.lineage, f"task {task.id}")
        shown = [self._shown(task) for task in tasks]
        lines = [
            f"- {t.id}: {t.status}, {t.from_session} -> {t.to_session}: {quoted(t.task, 60)}"
            for t in tasks
        ]
        text = "\n".join([f"{len(tasks)} tasks:", *lines]) if tasks else "No tasks."
        return Answer(text, {"tasks": shown})

    @tool(aliases={"result": "output"})
    async def complete_async_task(
        self,
        task_id: str,
        result: str | None = None,
        error: str | None = None,
        evidence: list[str] | None = None,
        success: bool | None = None,
    ) -> Answer:
        """End a task that was given to you, with a result or with an error.

        Args:
            task_id: the id of the task
            result: what came of it; may be empty
            error: why it failed; give this instead of a result
            evidence: files in your workspace, or ids of tool calls of this turn, that show it
            success: false means failed; the result is then the error
        """
        if success is False and error is None:
            result, error = None, result or "failed"
        ended = await self._comms.tasks.complete(
            self._caller, task_id, result=result, error=error, evidence=evidence
        )
        return Answer(
            f"Task {ended.id} is {ended.status}.", {"taskId": ended.id, "status": ended.status}
        )

    @tool()
    async def cancel_async_task(self, task_id: str, reason: str | None = None) -> Answer:
        """Call off a task that you delegated, or one that was given to you.

        Args:
            task_id: the id of the task
            reason: why, for the worker and the record
        """
        ended = await self._comms.tasks.cancel(
            self._caller.session, task_id, reason, untrusted=self._caller.lineage.untrusted
        )
        return Answer(
            f"Task {ended.id} is {ended.status}.", {"taskId": ended.id, "status": ended.status}
        )

    def _shown(self, task: AsyncTask) -> dict[str, Any]:
        entry = self._comms.directory.known(self._caller.session, task.to_session)
        state = self._comms.host.status(task.to_session) if entry else "gone"
        return public(task) | {"targetStatus": state}
