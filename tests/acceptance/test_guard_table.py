"""Guards: every row of the table is reached at exactly its limit, in one shape, and told of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.model import ScriptedModel, call, say

JSON = dict[str, Any]
SHAPE = {"error", "message", "limit", "value", "scope", "retryable", "hint"}
ASLEEP = {"a2a": {"wakeOnMessage": False}}


def limited(**limits: int) -> JSON:
    """A session that reads its mail by itself, with limits of its own."""
    return ASLEEP | {"limits": limits}


class Table:
    """A daemon with a session for each row; a row returns who was refused, and the error."""

    def __init__(self, daemon: RunningDaemon, model: ScriptedModel) -> None:
        self.daemon = daemon
        self.model = model

    async def send(self, sender: str, to: str, text: str) -> JSON:
        """A message, each in a trace of its own."""
        return await self.daemon.tool(
            sender, "send_message_to_session", target_session=to, message=text
        )

    async def delegate(self, sender: str, to: str, task: str = "t", **more: Any) -> JSON:
        """A task, each in a trace of its own."""
        return await self.daemon.tool(
            sender, "delegate_task_async", target_session=to, task=task, **more
        )

    async def create(self, creator: str, name: str) -> JSON:
        """A session."""
        return await self.daemon.tool(
            creator, "create_session", session_id=name, provider_template="scripted", name=name
        )

    async def last_of(self, *answers: JSON) -> JSON:
        """The last answer, which is the only refusal."""
        assert ["error" in answer for answer in answers] == [False] * (len(answers) - 1) + [True]
        return answers[-1]

    async def failed_turn(self, session: str) -> JSON:
        """The error that a turn of this session failed with."""
        event = await self.daemon.until(
            lambda e: e["event"] == "run_failed" and e["session"] == session
        )
        error: JSON = event["error"]
        return error

    async def failed_call(self, session: str) -> JSON:
        """The error of a tool call of this session."""
        event = await self.daemon.until(
            lambda e: e["event"] == "tool_call_error" and e["session"] == session
        )
        error: JSON = event["error"]
        return error

    # One method a row.

    async def sends_per_minute(self) -> tuple[str, JSON]:
        """The third within a minute."""
        answers = [await self.send("rate", "sink", text) for text in "xyz"]
        return "rate", await self.last_of(*answers)

    async def message_bytes(self) -> tuple[str, JSON]:
        """The eleventh byte, of what is two in UTF-8."""
        small, large = (
            await self.send("bytes", "sink", "ä" * 5),
            await self.send("bytes", "sink", "ä" * 5 + "x"),
        )
        return "bytes", await self.last_of(small, large)

    async def context_bytes(self) -> tuple[str, JSON]:
        """One byte of JSON more."""
        small = await self.delegate("context", "still", context={"x": "y" * 12})
        large = await self.delegate("context", "still", context={"x": "y" * 13})
        return "context", await self.last_of(small, large)

    async def unread(self) -> tuple[str, JSON]:
        """The third message to a mailbox for two."""
        answers = [await self.send("free", "full", text) for text in "xyz"]
        return "free", await self.last_of(*answers)

    async def tasks_created(self) -> tuple[str, JSON]:
        """The third that is open."""
        answers = [await self.delegate("boss", "still") for _ in range(3)]
        return "boss", await self.last_of(*answers)

    async def tasks_assigned(self) -> tuple[str, JSON]:
        """The third that one has to do, whoever gives it."""
        givers = ("free", "rate", "bytes")
        answers = [await self.delegate(giver, "laden") for giver in givers]
        return "bytes", await self.last_of(*answers)

    async def sessions_per_hour(self) -> tuple[str, JSON]:
        """The second within an hour."""
        return "hourly", await self.last_of(
            await self.create("hourly", "one"), await self.create("hourly", "two")
        )

    async def sessions_alive(self) -> tuple[str, JSON]:
        """The third of all that sessions have made."""
        return "alive", await self.last_of(
            await self.create("alive", "three"), await self.create("alive", "four")
        )

    async def session_depth(self) -> tuple[str, JSON]:
        """What a session made that may not make any itself."""
        return "child", await self.last_of(
            await self.create("deep", "child"), await self.create("child", "grandchild")
        )

    async def model_calls(self) -> tuple[str, JSON]:
        """The third request of one turn."""
        self.model.script("calls", [call("list_agents", query=text) for text in "xyz"])
        await self.daemon.prompt("calls", "go")
        error = await self.failed_turn("calls")
        assert len(self.model.of("calls")) == 2
        return "calls", error

    async def repeated(self) -> tuple[str, JSON]:
        """The third call with the same arguments."""
        self.model.script("again", [call("list_agents")] * 4)
        await self.daemon.prompt("again", "go")
        error = await self.failed_turn("again")
        assert len(self.model.of("again")) == 3
        return "again", error

    async def failed_in_a_row(self) -> tuple[str, JSON]:
        """The second that failed, right behind the first."""
        self.model.script("fails", [call("no_such_tool", n=n) for n in range(3)])
        await self.daemon.prompt("fails", "go")
        return "fails", await self.failed_turn("fails")

    async def hops(self) -> tuple[str, JSON]:
        """The third hop, of three sessions that pass something on."""
        for name, to in (("hop1", "hop2"), ("hop2", "hop3"), ("hop3", "sink")):
            self.model.script(
                name, [call("send_message_to_session", target_session=to, message="on"), say("so")]
            )
        await self.daemon.prompt("hop1", "go")
        return "hop3", await self.failed_call("hop3")

    async def messages_per_pair(self) -> tuple[str, JSON]:
        """The third message of one pair."""
        send = [
            call("send_message_to_session", target_session="sink", message=text) for text in "xyz"
        ]
        self.model.script("pair", [*send, say("so")])
        await self.daemon.prompt("pair", "go")
        return "pair", await self.failed_call("pair")

    async def turns_per_trace(self) -> tuple[str, JSON]:
        """The second turn of a trace."""
        send = call("send_message_to_session", target_session="turns", message="x")
        self.model.script("free", [send, say("so")])
        await self.daemon.prompt("free", "go")
        return "turns", await self.failed_turn("turns")

    async def autonomous(self) -> tuple[str, JSON]:
        """The second turn within an hour that no human asked for."""
        await self.send("free", "hour", "one")
        await self.daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "hour")
        await self.send("free", "hour", "two")
        return "hour", await self.failed_turn("hour")

    async def task_depth(self) -> tuple[str, JSON]:
        """Delegating what was delegated already."""
        for name, to in (("lead", "deputy"), ("deputy", "still")):
            self.model.script(
                name, [call("delegate_task_async", target_session=to, task="do"), say("so")]
            )
        await self.daemon.prompt("lead", "go")
        return "deputy", await self.failed_call("deputy")

    async def circle(self) -> tuple[str, JSON]:
        """M29: back to where it came from."""
        for name, to in (("round1", "round2"), ("round2", "round3"), ("round3", "round1")):
            self.model.script(
                name, [call("delegate_task_async", target_session=to, task="do"), say("so")]
            )
        await self.daemon.prompt("round1", "go")
        error = await self.failed_call("round3")
        assert "round1 -> round2 -> round3 -> round1" in error["message"]
        return "round3", error


Row = Callable[[Table], Awaitable[tuple[str, JSON]]]
ROWS: list[tuple[Row, str, int, int]] = [
    (Table.sends_per_minute, "guard_sends_per_minute", 2, 2),
    (Table.message_bytes, "too_large", 10, 11),
    (Table.context_bytes, "too_large", 20, 21),
    (Table.unread, "mailbox_full", 2, 2),
    (Table.tasks_created, "guard_tasks_created", 2, 2),
    (Table.tasks_assigned, "guard_tasks_assigned", 2, 2),
    (Table.sessions_per_hour, "guard_sessions_per_hour", 1, 1),
    (Table.sessions_alive, "guard_sessions_alive", 2, 2),
    (Table.session_depth, "guard_session_depth", 1, 1),
    (Table.model_calls, "guard_model_calls_per_turn", 2, 2),
    (Table.repeated, "guard_repeated_call", 3, 3),
    (Table.failed_in_a_row, "guard_failed_calls_in_a_row", 2, 2),
    (Table.hops, "guard_hops", 2, 2),
    (Table.messages_per_pair, "guard_messages_per_pair", 2, 2),
    (Table.turns_per_trace, "guard_turns_per_trace", 1, 1),
    (Table.autonomous, "guard_autonomous_turns_per_hour", 1, 1),
    (Table.task_depth, "guard_task_depth", 1, 1),
    (Table.circle, "guard_delegation_cycle", 0, 1),
]
SESSIONS: dict[str, JSON] = {
    "sink": ASLEEP,
    "still": ASLEEP,
    "free": ASLEEP,
    "rate": limited(sendsPerMinute=2),
    "bytes": limited(maxMessageBytes=10),
    "context": limited(maxContextBytes=20),
    "full": limited(maxUnread=2),
    "boss": limited(maxTasksCreated=2),
    "laden": limited(maxTasksAssigned=2),
    "hourly": limited(maxSessionsPerHour=1),
    "alive": limited(maxSessionsAlive=2),
    "deep": limited(maxSessionDepth=1),
    "calls": limited(maxModelCallsPerTurn=2),
    "again": limited(repeatedCallWarn=2, repeatedCallStop=3),
    "fails": limited(maxFailedCallsInARow=2),
    "hop1": {},
    "hop2": {},
    "hop3": {"limits": {"maxHops": 2}},
    "pair": limited(maxMessagesPerPair=2),
    "turns": {"limits": {"maxTurnsPerTrace": 1}},
    "hour": {"limits": {"maxAutonomousTurnsPerHour": 1}},
    "lead": {},
    "deputy": {"limits": {"maxTaskDepth": 1}},
    "round1": {},
    "round2": {},
    "round3": {},
}


async def test_every_row_of_the_table(start: Start, model: ScriptedModel) -> None:
    """Each guard: at its limit and not before, named, final, shown; the session serves you on."""
    daemon = await start(*SESSIONS, **SESSIONS)
    for still in ("still", "laden"):
        await daemon.post("/api/pause", session=still)
    table = Table(daemon, model)
    for row, code, limit, value in ROWS:
        session, error = await row(table)
        assert set(error) == SHAPE, (code, error)
        assert (error["error"], error["limit"], error["value"]) == (code, limit, value), error
        assert error["retryable"] is False
        assert all(error[field] for field in ("message", "hint", "scope"))
        if limit:
            assert (
                f"limit is {limit}" in error["message"] or f"limit of {limit}" in error["message"]
            )
        notice = await daemon.until(
            lambda e, error=error: e["event"] == "notice" and e.get("guard") == error  # type: ignore[misc]
        )
        assert (notice["session"], notice["code"], notice["level"]) == (session, code, "warning")
        kept = (await daemon.get("/api/status"))["notices"]
        assert [n["text"] for n in kept if n.get("guard") == error] == [notice["text"]]
        await daemon.idle(session)
        model.script(session, [say(f"well after {code}")])
        if session != "child":
            assert await daemon.say(session, "are you well?") == f"well after {code}"
