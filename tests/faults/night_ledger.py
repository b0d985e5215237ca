"""What the daemon acknowledged, written down outside of it, and whether it kept its word."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JSON = dict[str, Any]

FINAL = {"completed", "failed", "cancelled"}
SETTLED = {"read", "answered", "dead", "expired", "held"}
TOKEN = re.compile(r"\bt0k\d+z\b")
"""What marks each message that a model or the operator sends: one token, one message."""


@dataclass
class Ledger:
    """Acknowledgements by id, and what was seen of each afterwards."""

    messages: set[str] = field(default_factory=set)
    tasks: dict[str, str] = field(default_factory=dict)
    """Id → who created it."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Turn → session."""
    states: dict[str, str] = field(default_factory=dict)
    """The last state of each message, as events and files told it."""
    ends: dict[str, str] = field(default_factory=dict)
    """The final status of each task that has one."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Messages that told of a task's end, by task."""
    verdict_ids: set[str] = field(default_factory=set)
    traces: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Messages of each trace by pair of sessions."""
    trace_of: dict[str, str] = field(default_factory=dict)
    """Message → trace."""
    refusals: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Trace → the guards that told the operator of a refusal."""
    removed: set[str] = field(default_factory=set)
    """Sessions that were taken away."""
    broken: list[str] = field(default_factory=list)
    """What should not be, in words."""
    seen: set[str] = field(default_factory=set)

    def acknowledged(self, caller: str, facts: JSON) -> None:
        """Write down what a tool's result promised to the model."""
        if str(facts.get("id", "")).startswith("msg-"):
            self.messages.add(facts["id"])
        for one in facts.get("messages") or ():
            if (
                isinstance(one, dict)
                and "id" in one
                and one.keys() <= {"to", "id", "timestamp", "state"}
            ):
                self.messages.add(one["id"])
        if "taskId" in facts and "createdAt" in facts:
            self.tasks[facts["taskId"]] = caller

    def heard(self, event: JSON) -> None:
        """Take in an event of the daemon's stream."""
        match event["event"]:
            case "session_message":
                self._message(event["message"], event.get("trace", ""))
            case "task_updated":
                self._task(event["task"])
            case "session_removed":
                self.removed.add(event["session"])
            case "notice" if event["code"].startswith("guard_"):
                self.refusals[event.get("trace", "")].add(event["code"])

    def _message(self, message: JSON, trace: str = "") -> None:
        known = message["id"]
        self.states[known] = message.get("state", "stored")
        if known in self.seen:
            return
        self.seen.add(known)
        if message.get("type") == "task_result":
            self.verdicts[message["threadId"]] += 1
            self.verdict_ids.add(known)
        elif message.get("type", "message") in ("message", "request"):
            trace = trace or (message.get("lineage") or {}).get("trace", "")
            pair = "-".join(sorted((message["from"], message["to"])))
            self.traces[trace][pair] += 1
            self.trace_of[known] = trace

    def _task(self, task: JSON) -> None:
        if task["status"] in FINAL:
            before = self.ends.setdefault(task["id"], task["status"])
            if before != task["status"]:
                self.broken.append(f"task {task['id']} was {before}, then {task['status']}")

    def audit(self, home: Path) -> None:
        """Read every mailbox and the tasks as they are on disk now: before anything is pruned."""
        boxes = [*home.glob("workspaces/*/session_messages.jsonl")]
        for path in [*boxes, home / "state/operator_messages.jsonl"]:
            for message in fold(path):
                self._message(message)
        for task in fold(home / "state/tasks.jsonl"):
            self._task(task)
        for path in home.glob("state/logs/daemon.log*"):
            for line in path.read_bytes().split(b"\n"):
                if b'"guard_' in line and b'"notice"' in line:
                    self.heard(json.loads(line))

    def lost(self) -> list[str]:
        """Acknowledged messages that never were in a file or an event."""
        return sorted(self.messages - self.states.keys())

    def unsettled(self) -> list[str]:
        """Messages that never came to an end."""
        return sorted(i for i in self.messages if self.states.get(i) not in SETTLED)

    def open_tasks(self) -> list[str]:
        """Acknowledged tasks without a final state."""
        return sorted(self.tasks.keys() - self.ends.keys())

    def untold(self) -> list[str]:
        """Tasks that ended and whose creator was not told exactly once."""
        return sorted(
            f"{task} ({self.verdicts[task]} times)"
            for task, creator in self.tasks.items()
            if task in self.ends and self.verdicts[task] != 1 and creator not in self.removed
        )


def fold(path: Path) -> list[JSON]:
    """The records of a log, the last line for each id; a last line without an end is left out."""
    if not path.exists():
        return []
    found: dict[str, JSON] = {}
    *lines, _ = path.read_bytes().split(b"\n")
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[record["id"]] = record
    return list(found.values())


def unreadable(home: Path) -> list[str]:
    """Every line under the home that does not parse."""
    bad: list[str] = []
    for path in sorted(home.rglob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if line:
                try:
                    json.loads(line)
                except ValueError:
                    bad.append(f"{path.relative_to(home)}:{number}: {line[:60]!r}")
    return bad


def delivered_twice(home: Path) -> list[str]:
    """Tokens that entered more than one turn of a session, or that more than one message carries.

    The first would be a message delivered twice, the second a tool call made twice.
    """
    twice: list[str] = []
    for workspace in sorted(home.glob("workspaces/*")):
        turns: dict[str, set[str]] = defaultdict(set)
        for record in fold(workspace / "history.jsonl"):
            message = record.get("message")
            if isinstance(message, dict) and message["role"] == "user":
                for token in set(TOKEN.findall(message.get("content") or "")):
                    turns[token].add(record["turn"])
        twice += [f"{workspace.name}: {t} in {sorted(i)}" for t, i in turns.items() if len(i) > 1]
        ids: dict[str, set[str]] = defaultdict(set)
        for message in fold(workspace / "session_messages.jsonl"):
            if message.get("type", "message") in ("message", "request"):
                for token in TOKEN.findall(message["content"])[:1]:
                    ids[token].add(message["id"])
        twice += [
            f"{workspace.name}: {t} sent as {sorted(i)}" for t, i in ids.items() if len(i) > 1
        ]
    return twice
