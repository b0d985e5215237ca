"""Everybody at work at once: senders outside, sessions that send and delegate, and upkeep.

What the daemon acknowledges goes into a ledger. The workers end when the daemon dies.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from tests.faults.ledger import Ledger

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import Call, ScriptedModel, Step, calls, say, tool

JSON = dict[str, Any]
SESSIONS = tuple(f"s{n}" for n in range(8))
MAX_SESSIONS = 60

_FACTS = re.compile(r"^\{.*\}$", re.MULTILINE | re.DOTALL)


class _NoMore(Exception):
    """There is enough of it."""


class Workload:
    """Asks a daemon for everything at once, and writes down what it promised."""

    def __init__(self, seed: int, model: ScriptedModel) -> None:
        self.ledger = Ledger()
        self.random = random.Random(seed)
        self.tokens: dict[str, str] = {}
        self._model = model
        self._numbers = itertools.count()
        self._wanted: dict[str, str] = {}
        self._changed = asyncio.Condition()
        self._left = 0
        self.enough = asyncio.Event()
        self.hears = True
        """Whether anybody is left to hear what is acknowledged."""
        for name in SESSIONS:
            model.rule(name, self._answer)

    def prepare(self, home: Path, **more: Any) -> None:
        """Write the configuration: small windows, so that conversations are summarised too."""
        context = {"maxTokens": 8000, "compressionThreshold": 0.6, "keepRecentMessages": 4}
        limits = {
            "maxAutonomousTurnsPerHour": 10**6,
            "sendsPerMinute": 10**6,
            "maxSessionsPerHour": 1000,
            "maxTasksCreated": 10**6,
            "maxTasksAssigned": 10**6,
        }
        sessions = {name: {"context": context} for name in SESSIONS}
        write_config(home, scripted(self._model.url, *SESSIONS, limits=limits, **sessions, **more))

    async def until(self, daemon: RunningDaemon, promises: int) -> None:
        """Work until so many more acknowledgements have come, or the daemon dies."""
        self._left = promises
        self.enough.clear()
        self.hears = True
        async with asyncio.TaskGroup() as group:
            for work in (
                *[self._send] * 6, *[self._send_as_session] * 4, *[self._send_by_tool] * 3,
                *[self._delegate] * 2, self._prompt, self._steer, self._create,
                self._compact_mail, self._compact_history,
            ):  # fmt: skip
                group.create_task(self._again(work, daemon))

    async def _again(
        self, work: Callable[[RunningDaemon], Awaitable[None]], daemon: RunningDaemon
    ) -> None:
        with suppress(httpx2.TransportError, _NoMore):
            while True:
                try:
                    await work(daemon)
                except ApiError as error:
                    self.ledger.refused[error.code] += 1
                    if error.code == "guard_mailbox_full":
                        return

    def _promised(self, kind: dict[str, str], key: str, text: str) -> None:
        if key in kind or not self.hears:
            return
        kind[key] = text
        self._left -= 1
        if self._left <= 0:
            self.enough.set()

    def _text(self, what: str) -> str:
        number = next(self._numbers)
        filling = "x" * self.random.choice((0, 20, 200, 3000))
        return f"{what} {number}. {filling}"

    def _two(self) -> tuple[str, str]:
        one, other = self.random.sample(SESSIONS, 2)
        return one, other

    # The ways in from outside.

    async def _send(self, daemon: RunningDaemon) -> None:
        text = self._text("note")
        sent = await daemon.post("/api/messages", to=self._two()[0], content=text)
        self._promised(self.ledger.messages, sent["id"], text)

    async def _send_as_session(self, daemon: RunningDaemon) -> None:
        sender, to = self._two()
        text = self._text("word")
        sent = await daemon.post("/api/messages", **{"from": sender}, to=to, content=text)
        self._promised(self.ledger.messages, sent["id"], text)

    async def _send_by_tool(self, daemon: RunningDaemon) -> None:
        sender, *targets = self.random.sample(SESSIONS, 4)
        text = self._text("circular")
        facts = await daemon.tool(
            sender, "send_message_to_session", target_session=targets, message=text
        )
        self._note(facts, text)

    async def _delegate(self, daemon: RunningDaemon) -> None:
        text = self._text("task")
        task = await daemon.post("/api/tasks", toSession=self._two()[0], task=text)
        self._promised(self.ledger.tasks, task["id"], text)
        if self.random.random() < 0.3:
            result = self._text("done")
            ended = await daemon.post(f"/api/tasks/{task['id']}/complete", result=result)
            if ended["status"] == "completed":
                self._promised(self.ledger.verdicts, task["id"], result)

    async def _prompt(self, daemon: RunningDaemon, mode: str = "queue") -> None:
        text = self._text("work")
        turn = await daemon.prompt(self._two()[0], text, mode=mode)
        self._promised(self.ledger.lines, turn, text)
        # Each leads to a dozen messages: more of them would only make the end longer.
        await asyncio.sleep(0.1)

    async def _steer(self, daemon: RunningDaemon) -> None:
        await self._prompt(daemon, "steer")

    async def _create(self, daemon: RunningDaemon) -> None:
        if len(self._wanted) >= MAX_SESSIONS:
            raise _NoMore
        name = f"made-{next(self._numbers)}"
        self._wanted[name] = text = f"You are {name}."
        await daemon.post(
            "/api/sessions", session_id=name, provider_template="scripted", identity_content=text
        )
        self._promised(self.ledger.sessions, name, text)
        await asyncio.sleep(0.3)

    async def _compact_mail(self, daemon: RunningDaemon) -> None:
        await daemon.post("/api/messages/compact", session=self._two()[0])
        await asyncio.sleep(0.01)

    async def _compact_history(self, daemon: RunningDaemon) -> None:
        await asyncio.sleep(0.05)
        await daemon.post(f"/api/sessions/{self._two()[0]}/compact")

    async def complete_creations(self, daemon: RunningDaemon) -> list[str]:
        """Ask once more for the sessions that were never acknowledged; what stands in the way."""
        there = {session["id"] for session in (await daemon.get("/api/sessions"))["items"]}
        stuck = []
        for name, text in self._wanted.items():
            if name in self.ledger.sessions or name in there:
                continue
            try:
                await daemon.post(
                    "/api/sessions",
                    session_id=name, provider_template="scripted", identity_content=text,
                )  # fmt: skip
            except ApiError as error:
                stuck.append(f"{name}: {error}")
        return stuck

    # The sessions' models.

    async def _answer(self, body: JSON) -> Step:
        self._model.requests.clear()
        messages = body["messages"]
        if str(messages[0]["content"]).startswith("Summarise"):
            return say("what was said before")
        self._hear_results(messages)
        last = messages[-1]
        text = str(last["content"])
        if last["role"] != "user":
            return say("done")
        if found := re.search(r"\[task (task-\w+) from", text):
            return self._worked(found[1])
        if text.startswith("work"):
            return calls(*self._work(str(body["model"])))
        return say("noted")

    def _worked(self, task: str) -> Step:
        if self.random.random() < 0.5:
            return say(f"what came of {task}")
        result = f"the end of {task}"
        return calls(tool("complete_async_task", _json(task_id=task, result=result)))

    def _work(self, session: str) -> list[Call]:
        others = [name for name in SESSIONS if name != session]
        made = [
            tool("send_message_to_session", _json(target_session=to, message=self._text("said")))
            for to in self.random.sample(others, 3)
            for _ in range(4)  # what is for one session comes together there
        ]
        to = self.random.choice(others)
        work = _json(target_session=to, task=self._text("part"))
        return [*made, tool("delegate_task_async", work)]

    def _hear_results(self, messages: list[JSON]) -> None:
        """A result that the model is shown is an acknowledgement like any other."""
        asked = {}
        for message in messages[-8:]:
            for one in message.get("tool_calls") or ():
                asked[one["id"]] = json.loads(one["function"]["arguments"])
            if message["role"] != "tool" or message["tool_call_id"] not in asked:
                continue
            arguments = asked[message["tool_call_id"]]
            found = _FACTS.search(message["content"])
            with suppress(ValueError):
                self._note(json.loads(found[0]) if found else {}, arguments)

    def _note(self, facts: JSON, said: str | JSON) -> None:
        text = said if isinstance(said, str) else said.get("message") or said.get("task", "")
        for sent in facts.get("messages", [facts]):
            if "timestamp" in sent:
                self._promised(self.ledger.messages, sent["id"], text)
        if "createdAt" in facts:
            self._promised(self.ledger.tasks, facts["taskId"], text)
        elif facts.get("status") == "completed" and isinstance(said, dict):
            self._promised(self.ledger.verdicts, facts["taskId"], said.get("result", ""))


def _json(**arguments: Any) -> str:
    return json.dumps(arguments)
