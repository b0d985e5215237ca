"""The routes of tasks."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.comms.caller import Caller, operator
from clawd.comms.checks import check_priority
from clawd.comms.models import AsyncTask, TaskStatus, public
from clawd.errors import Refused
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, choice, flag, listing, number, one, read_body, whole, word
from clawd.ids import OPERATOR, seconds_of
from clawd.lineage import begin, from_outside

MAX_WAIT_SECONDS = 3600.0
_SAME_SECONDS = 1.0


class Delegating(Fields):
    """A task to give, from the operator unless it says otherwise."""

    to_session: str
    task: str
    context: dict[str, Any] | None = None
    from_session: str = OPERATOR
    priority: int = 5
    deadline_seconds: float | None = None
    depends_on: list[str] = msgspec.field(default_factory=list)
    idempotency_key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class Cancelling(Fields):
    """Why."""

    reason: str | None = None


class Completing(Fields):
    """A verdict: exactly one of the two."""

    result: str | None = None
    error: str | None = None


class TaskRoutes:
    """What can be asked of tasks."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._keyed = asyncio.Lock()

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        at = "/api/tasks"
        return [
            Route(at, self.list_some, methods=["GET"]),
            Route(at, self.delegate, methods=["POST"]),
            Route(f"{at}/{{id}}", self.show, methods=["GET"]),
            Route(f"{at}/{{id}}/cancel", self.cancel, methods=["POST"]),
            Route(f"{at}/{{id}}/retry", self.retry, methods=["POST"]),
            Route(f"{at}/{{id}}/complete", self.complete, methods=["POST"]),
        ]

    async def list_some(self, request: Request) -> Response:
        """Tasks, oldest first: of all sessions, or of one by its part in them."""
        session = word(request, "session")
        status = choice(request, "status", get_args(TaskStatus))
        comms = self._house.comms
        created, assigned = flag(request, "created", True), flag(request, "assigned", True)
        if session is not None:
            if session != OPERATOR:
                self._house.sessions.get(session)
            tasks = comms.tasks_of(session, created=created, assigned=assigned, status=status)
        else:
            tasks = comms.all_tasks(status)
        limit = whole(request, "limit", 200) or 0
        return listing("tasks", self._shown(tasks[-limit:] if limit else []))

    async def show(self, request: Request) -> Response:
        """One task; with ``wait``, when it is final or the time is over."""
        task = self._task(request)
        wait = number(request, "wait", 0.0) or 0.0
        if wait and not task.final:
            task = await self._house.comms.board.wait(task.id, min(wait, MAX_WAIT_SECONDS))
        return one("task", self._shown([task])[0])

    async def delegate(self, request: Request) -> Response:
        """Give a task; durable when the answer is sent. One with a key is given once."""
        body = await read_body(request, Delegating)
        check_priority(body.priority)
        caller = operator()
        if body.from_session != OPERATOR:
            caller = Caller(self._house.sessions.get(body.from_session).id, begin("operator"))
        if body.idempotency_key is None:
            task = await self._given(caller, body)
        else:
            # One after another: of two that come at once, the second finds the first's.
            async with self._keyed:
                known = self._house.comms.board.with_key(caller.session, body.idempotency_key)
                if known is not None and not _same(known, body):
                    raise Refused(
                        "idempotency_conflict",
                        f"task {known.id} was given under this key, and is another one",
                        hint="give every task a key of its own",
                    )
                task = known or await self._given(caller, body)
        return one("task", public(task) | self._house.comms.standing(task.to_session), 201)

    async def _given(self, caller: Caller, body: Delegating) -> AsyncTask:
        return await self._house.comms.tasks.delegate(
            caller,
            body.to_session,
            body.task,
            context=body.context,
            priority=body.priority,
            deadline_seconds=body.deadline_seconds,
            depends_on=tuple(body.depends_on),
            idempotency_key=body.idempotency_key,
        )

    async def cancel(self, request: Request) -> Response:
        """Take a task back."""
        task = self._task(request)
        body = await read_body(request, Cancelling)
        return one(
            "task", public(await self._house.comms.tasks.cancel(OPERATOR, task.id, body.reason))
        )

    async def retry(self, request: Request) -> Response:
        """Give a task that did not complete once more, as a new one."""
        task = self._task(request)
        if task.status not in ("failed", "cancelled"):
            raise Refused(
                "not_failed",
                f"task {task.id} is {task.status}",
                hint="only failed or cancelled tasks are retried",
            )
        known = task.from_session == OPERATOR or self._house.sessions.find(task.from_session)
        lineage = begin("operator")
        if from_outside(task.lineage):
            # The human asks for it once more, and did not write it.
            lineage = msgspec.structs.replace(lineage, untrusted=True)
        caller = Caller(task.from_session if known else OPERATOR, lineage)
        made = await self._house.comms.tasks.delegate(
            caller,
            task.to_session,
            task.task,
            context=task.context,
            priority=task.priority,
            deadline_seconds=_time_given(task),
            depends_on=tuple(i for i in task.depends_on if self._house.comms.board.find(i)),
            retry_of=task.id,
        )
        return one("task", public(made), 201)

    async def complete(self, request: Request) -> Response:
        """End a task in its worker's stead."""
        task = self._task(request)
        body = await read_body(request, Completing)
        ended = await self._house.comms.tasks.complete(
            operator(), task.id, result=body.result, error=body.error
        )
        return one("task", public(ended))

    def _shown(self, tasks: list[AsyncTask]) -> list[dict[str, Any]]:
        """The tasks with what they have used until now."""
        costs = self._house.comms.board.costs(tasks)
        return [
            public(task) | ({"cost": cost} if (cost := costs[task.id]) is not None else {})
            for task in tasks
        ]

    def _task(self, request: Request) -> AsyncTask:
        return self._house.comms.board.get(request.path_params["id"])


def _same(task: AsyncTask, body: Delegating) -> bool:
    """Whether the task is what is asked for; the results that it depends on were put into it."""
    context = dict(task.context or {})
    if body.depends_on:
        context.pop("dependencies", None)
    given, asked = _time_given(task), body.deadline_seconds
    return (
        (task.to_session, task.task, task.priority, list(task.depends_on), context)
        == (body.to_session, body.task, body.priority, body.depends_on, body.context or {})
        and (given is None) == (asked is None)
        and abs((given or 0.0) - (asked or 0.0)) < _SAME_SECONDS
    )


def _time_given(task: AsyncTask) -> float | None:
    """How long the task was given, in seconds."""
    if task.deadline is None:
        return None
    return seconds_of(task.deadline) - seconds_of(task.created_at)
