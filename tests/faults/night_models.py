"""How the fifty sessions behave: a scripted model for each, and one that fails at random."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.faults.night_house import (
    ALL,
    DESK,
    FANS,
    FLAKY,
    FLOODS,
    LEADS,
    LOCKED,
    MAKERS,
    MIDDLES,
    RINGS,
    SINK,
    WORKERS,
)
from tests.faults.night_ledger import Ledger

from clawd.testing.model import (
    ScriptedModel,
    Step,
    call,
    calls,
    cut,
    cut_in_arguments,
    empty,
    empty_body,
    end_without_finish,
    error,
    fail,
    fail_inside,
    flood,
    garbage,
    hang,
    html,
    length,
    overflow,
    raw_call,
    reset,
    say,
    stall,
    tool,
)
from clawd.testing.proxy import TcpFault

JSON = dict[str, Any]

_MARK = re.compile(r"§(\w+)(?::(\w+))?§")
_TASK = re.compile(r"\btask-[0-9a-z]{26}\b")
_OWN = re.compile(r"\[message \S+ from your human, the operator")
_QUOTA = error("You exceeded your current quota", "insufficient_quota")

FAULTS: list[tuple[str, Callable[[], Step]]] = [
    ("429 with Retry-After", lambda: fail(429, headers={"Retry-After": "1"})),
    ("429 with retry-after-ms", lambda: fail(429, headers={"retry-after-ms": "300"})),
    ("429 without Retry-After", lambda: fail(429)),
    ("429 for an hour", lambda: fail(429, headers={"Retry-After": "3600"})),
    ("429 quota", lambda: fail(429, _QUOTA)),
    ("500", lambda: fail(500)),
    ("503 HTML", lambda: fail(503, "<html>upstream</html>")),
    ("529", lambda: fail(529)),
    ("400", lambda: fail(400)),
    ("404", lambda: fail(404)),
    ("hang before headers", hang),
    ("hang before the first token", lambda: stall("")),
    ("hang in the text", lambda: stall("I was about to ")),
    ("cut in the text", lambda: cut("I was about to say that the")),
    ("cut in the arguments", lambda: cut_in_arguments("send_message_to_session", '{"target')),
    ("bad JSON arguments", lambda: raw_call("send_message_to_session", '{"target_session": wor')),
    ("arguments that are a list", lambda: raw_call("list_agents", "[1, 2]")),
    ("unknown tool", lambda: call("rm_rf", path="/")),
    ("no id", lambda: raw_call("list_agents", "{}")),
    (
        "duplicate ids",
        lambda: calls(tool("list_agents", "{}", "d"), tool("list_agents", "{}", "d")),
    ),
    ("no finish reason", lambda: end_without_finish("All of it?")),
    ("HTML with 200", html),
    ("empty answer", empty),
    ("empty body", empty_body),
    ("hang-up", reset),
    ("garbage", garbage),
    ("invalid UTF-8", lambda: garbage(b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n')),
    ("error in the stream", lambda: fail_inside("it broke", before="Well, ")),
    ("context too long", overflow),
    ("output limit", lambda: length("I could go on and")),
    ("20 MB", lambda: flood(20)),
]


class Minds:
    """Decides each answer; ``calm`` stops the faults."""

    def __init__(self, model: ScriptedModel, ledger: Ledger, chance: random.Random) -> None:
        self.calm = False
        self.met: Counter[str] = Counter()
        """How often each fault was played."""
        self.calls: Counter[str] = Counter()
        self.own: Counter[str] = Counter()
        """Those of them in turns that a message of the operator began: no budget stops these."""
        self._ledger = ledger
        self._chance = chance
        self._numbers = itertools.count(1)
        for name in [*ALL, "guest", "temp"]:
            model.rule(name, partial(self._answer, name))

    def token(self) -> str:
        """A mark that no other message has."""
        return f"t0k{next(self._numbers)}z"

    def network(self) -> TcpFault:
        """What the rough network does to the next answer."""
        if self.calm or self._chance.random() < 0.7:
            return TcpFault()
        after = self._chance.randrange(1, 700)
        return self._chance.choice(
            [
                TcpFault.late(self._chance.uniform(0.05, 1.0)),
                TcpFault.cut(after),
                TcpFault.reset(after),
                TcpFault.hang(after),
                TcpFault.drip(0.002, after),
            ]
        )

    def _answer(self, name: str, body: JSON) -> Step:
        self.calls[name] += 1
        messages = body["messages"]
        asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
        self.own[name] += bool(_OWN.match(asked))
        self._note(name, messages)
        if not body.get("tools"):
            return say("In short: they worked, and it went on.")
        if not self.calm:
            if name == LOCKED:
                self.met["401"] += 1
                return fail(401)
            if name in FLAKY and self._chance.random() < 0.4:
                kind, step = self._chance.choice(FAULTS)
                if kind != "20 MB" or self._chance.random() < 0.1:
                    self.met[kind] += 1
                    return step()
        if name == DESK:
            return say("At your service.")
        results = _results(messages)
        return self._step(name, asked, results)

    def _note(self, name: str, messages: list[JSON]) -> None:
        """What the tools acknowledged: it is read from the last results of the request."""
        for message in reversed(messages):
            if message["role"] != "tool":
                break
            text = message.get("content") or ""
            at = text.find("\n{")
            if at >= 0:
                try:
                    facts = json.loads(text[at + 1 :])
                except ValueError:
                    continue
                if isinstance(facts, dict):
                    self._ledger.acknowledged(name, facts)

    def _step(self, name: str, asked: str, results: list[str]) -> Step:
        mark = _MARK.search(asked)
        kind, argument = (mark[1], mark[2] or "") if mark else ("", "")
        task = _TASK.search(asked)
        if asked.startswith("[task "):
            return self._task(name, task[0] if task else "", kind, asked, results)
        if results and not (kind == "flood" or (kind == "tree" and len(results) == 1)):
            return say(f"Done, with {len(results)} results.")
        match kind:
            case "ring" if argument in RINGS:
                ring = RINGS[argument]
                after = ring[(ring.index(name) + 1) % len(ring)] if name in ring else ring[0]
                return self._send(after, f"§ring:{argument}§ and round it goes")
            case "fan" if name in FANS:
                return self._fan(name)
            case "tree" if name in LEADS:
                return self._tree(name, results)
            case "flood" if name in FLOODS:
                return self._flood(results)
            case "read":
                return call("read_session_messages", unread_only=False, limit=1000)
            case "make":
                return self._make(argument)
            case "hello" if self._chance.random() < 0.3:
                return self._send(self._chance.choice(WORKERS), "hello back")
        return say("Noted.")

    def _send(self, target: str | list[str], text: str) -> Step:
        return call(
            "send_message_to_session", target_session=target, message=f"{text} {self.token()}"
        )

    def _fan(self, name: str) -> Step:
        if self._chance.random() < 0.1:
            return call("broadcast_message", message=f"all hands, says {name} {self.token()}")
        delegated = [
            call("delegate_task_async", target_session=worker, task=f"§piece§ {self.token()}")
            for worker in self._chance.sample(WORKERS, 3)
        ]
        return calls(self._send(WORKERS, "§hello§"), *delegated)

    def _tree(self, name: str, results: list[str]) -> Step:
        middle = self._chance.choice(MIDDLES)
        wanted: JSON = {"target_session": middle, "task": f"§branch§ {self.token()}"}
        if self._chance.random() < 0.3:
            wanted["deadline_seconds"] = self._chance.choice([1, 5, 30])
        first = _TASK.search(results[0]) if results else None
        if first is not None and self._chance.random() < 0.8:
            wanted["depends_on"] = [first[0]]
        return call("delegate_task_async", **wanted)

    def _task(self, name: str, task: str, kind: str, asked: str, results: list[str]) -> Step:
        if results:
            return say(f"Done with {task}.")
        if kind == "branch" and name in MIDDLES:
            return calls(
                *(
                    call("delegate_task_async", target_session=w, task=f"§piece§ {self.token()}")
                    for w in self._chance.sample(WORKERS, 2)
                )
            )
        match self._chance.randrange(10):
            case 0:
                return call("complete_async_task", task_id=task, error="it cannot be done")
            case 1:
                return say("My last word is the result.")
            case 2:
                return empty()
            case 3:
                return call("complete_async_task", task_id=task, result="x" * 20_000)
        return call("complete_async_task", task_id=task, result=f"done {self.token()}")

    def _flood(self, results: list[str]) -> Step:
        if sum("guard_" in r or "mailbox_full" in r for r in results) > 20:
            return say("They do not let me.")
        text = "flood " * 3_000
        return calls(*(self._send(SINK, text) for _ in range(10)))

    def _make(self, name: str) -> Step:
        return calls(
            call(
                "create_session",
                session_id=name,
                provider_template="healthy",
                name=f"Temporary {name}",
                soul_content="You are here for a while.",
            ),
            *([self._send(MAKERS[0], f"I make {name}")] if self._chance.random() < 0.2 else []),
        )


def _results(messages: list[JSON]) -> list[str]:
    """The results since the last line that somebody said to the session."""
    found: list[str] = []
    for message in reversed(messages):
        if message["role"] == "user":
            break
        if message["role"] == "tool":
            found.append(message.get("content") or "")
    return found[::-1]
