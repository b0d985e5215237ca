"""What a daemon under load has acknowledged, and what of it is found afterwards."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawd.comms.models import FINAL
from clawd.sessions.identity import FILES

JSON = dict[str, Any]
Figures = Callable[..., None]
"""Takes what a run counted, by name."""

_SHOWN = re.compile(
    r"^\[(?:message (msg-\w+) from (?:session|your human)|result of task (task-\w+) from)",
    re.MULTILINE,
)


@dataclass
class Ledger:
    """Acknowledgements by kind: id → the text that it was given for."""

    messages: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def acknowledged(self) -> int:
        """All that was promised."""
        return sum(map(len, (self.messages, self.tasks, self.verdicts, self.lines, self.sessions)))

    def figures(self) -> dict[str, int]:
        """The acknowledgements by kind."""
        return {
            "sends": len(self.messages),
            "tasks": len(self.tasks),
            "verdicts": len(self.verdicts),
            "lines": len(self.lines),
            "sessions": len(self.sessions),
        }


@dataclass
class Aftermath:
    """What is on disk, as a fresh pair of eyes reads it.

    ``whole`` False: no start has mended it yet, so a torn last line is not to be wondered at.
    """

    home: Path
    whole: bool = True
    broken: list[str] = field(default_factory=list)
    messages: dict[str, JSON] = field(default_factory=dict)
    tasks: dict[str, JSON] = field(default_factory=dict)
    turns: dict[str, JSON] = field(default_factory=dict)
    created: dict[str, JSON] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    spoken: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        boxes = sorted(self.home.glob("workspaces/*/session_messages.jsonl"))
        for path in (self.home / "state/operator_messages.jsonl", *boxes):
            for message in self._latest(path).values():
                self.messages[message["id"]] = message
                if message.get("type") == "task_result":
                    self.told[message["threadId"]] += 1
        self.tasks = self._latest(self.home / "state/tasks.jsonl")
        records = self._latest(self.home / "state/sessions.jsonl").values()
        self.created = {r["id"]: r for r in records if r.get("created") and not r.get("removed")}
        for path in sorted(self.home.glob("workspaces/*/history.jsonl")):
            self._read_transcript(path)

    def missing(self, ledger: Ledger) -> list[str]:
        """What was acknowledged and is not there, or is not what was promised."""
        return [
            *(
                f"message {i}: {text!r}"
                for i, text in ledger.messages.items()
                if self.messages.get(i, {}).get("content") != text
            ),
            *(
                f"task {i}: {text!r}"
                for i, text in ledger.tasks.items()
                if self.tasks.get(i, {}).get("task") != text
            ),
            *(
                f"result {result!r} of {i}: there is {self.tasks.get(i)}"
                for i, result in ledger.verdicts.items()
                if self.tasks.get(i, {}).get("result") != result
            ),
            *(
                f"line {text!r} of turn {i}"
                for i, text in ledger.lines.items()
                if self.turns.get(i, {}).get("trigger", {}).get("text") != text
            ),
            *(f"session {i}" for i in ledger.sessions if i not in self.created),
        ]

    def doubled(self) -> list[str]:
        """What a model was shown, or a creator was told, more than once."""
        counts = [*self.shown.items(), *self.told.items(), *self.spoken.items()]
        return [f"{what}: {count} times" for what, count in counts if count > 1]

    def undelivered(self, ledger: Ledger) -> list[str]:
        """Acknowledged messages to sessions that no turn has shown to its model, and lines."""
        sent = (i for i in ledger.messages if self.messages.get(i, {}).get("to") != "operator")
        return [
            *(f"message {i}: {self.messages.get(i)}" for i in sent if self.shown[i] != 1),
            *(f"line {text!r}" for text in ledger.lines.values() if self.spoken[text] != 1),
        ]

    def unsettled(self) -> list[str]:
        """Tasks without an end, or without exactly one verdict."""
        return [
            f"task {i} is {task['status']} with {self.told[i]} verdicts"
            for i, task in self.tasks.items()
            if task["status"] not in FINAL or self.told[i] != 1
        ]

    def halves(self, ledger: Ledger) -> list[str]:
        """Created sessions that are not whole, and folders that belong to nobody."""
        found = []
        for name, record in self.created.items():
            folder = self.home / record["settings"].get("workspace", f"workspaces/{name}")
            found += [
                f"{folder / file} is missing" for file in FILES if not (folder / file).exists()
            ]
            text = ledger.sessions.get(name)
            if text is not None and text not in _text(folder / "IDENTITY.md"):
                found.append(f"{folder}/IDENTITY.md is not what was asked for")
        return found

    def _read_transcript(self, path: Path) -> None:
        for record in self._latest(path).values():
            if record["type"] == "turn":
                self.turns[record["id"]] = record
            if record["type"] != "message" or record["message"]["role"] != "user":
                continue
            text = record["message"]["content"]
            self.spoken[text] += 1
            for message, task in _SHOWN.findall(text):
                self.shown[message or f"result of {task}"] += 1

    def _latest(self, path: Path) -> dict[str, JSON]:
        """The last line for each id; lines that are no records are noted."""
        found: dict[str, JSON] = {}
        if not path.exists():
            return found
        data = path.read_bytes()
        if data and not data.endswith(b"\n") and self.whole:
            self.broken.append(f"{path}: the last line has no end")
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                record = json.loads(line)
                found[record["id"]] = record
            except (ValueError, TypeError, KeyError) as error:
                self.broken.append(f"{path}:{number}: {error!r}: {line[:200]!r}")
        return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
