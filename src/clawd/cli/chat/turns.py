"""What the chat knows of its session: the running turn, the queue, the numbers of the line."""

from __future__ import annotations

import time
from collections import deque

from clawd.cli.chat.lines import OPEN_STATES
from clawd.cli.chat.markdown import Blocks
from clawd.cli.chat.statusline import Standing
from clawd.cli.output import JSON

OFFLINE = "offline"


class Turns:
    """Follows one session's events; ``take`` returns the Markdown blocks that became whole."""

    def __init__(self, session: JSON, since: float | None = None) -> None:
        self.id = str(session["id"])
        self.opened = time.monotonic() if since is None else since
        self.running = ""
        self.since = self.opened
        self.queued: dict[str, str] = {}
        self.open_tasks: list[str] = []
        self.refreshing = False
        self._blocks: dict[str, Blocks] = {}
        self._ended_runs: deque[str] = deque(maxlen=64)
        self._tasks = 0
        self._mail = 0
        self._known: JSON = {}
        self.refreshed(session, [], 0)

    @property
    def tail(self) -> str:
        """The text of the answer that is no finished block yet."""
        return "".join(blocks.tail for blocks in self._blocks.values())

    @property
    def offline(self) -> bool:
        """Whether the built-in model answers."""
        return OFFLINE in (self._known.get("template"), self._known.get("model"))

    @property
    def encrypted(self) -> bool:
        """Whether what is said here is sealed on disk."""
        return bool(self._known.get("encrypted"))

    @property
    def model(self) -> str:
        """What answers, in one word."""
        return OFFLINE if self.offline else str(self._known.get("model") or "")

    def take(self, event: JSON, now: float) -> list[str]:
        """Follow one event; the finished blocks of text that it brings."""
        if event.get("session") != self.id:
            return []
        run = str(event.get("run_id", ""))
        match event.get("event"):
            case "prompt_queued":
                self.queued[run] = str(event.get("text", ""))
            case "run_started":
                self.queued.pop(run, None)
                self.running, self.since = run, now
            case "text_message_start":
                self._blocks[event["message_id"]] = Blocks()
            case "text_message_content":
                blocks = self._blocks.setdefault(event["message_id"], Blocks())
                return blocks.feed(str(event.get("content", "")))
            case "text_message_end":
                return self._ended(event)
            case "run_finished" | "run_failed" | "run_suspended":
                self.queued.pop(run, None)
                if event["event"] != "run_suspended":
                    self._ended_runs.append(run)
                rest = [block for open_ in self._blocks.values() for block in open_.finish()]
                self._blocks.clear()
                if run == self.running:
                    self.running = ""
                return rest
        return []

    def _ended(self, event: JSON) -> list[str]:
        blocks = self._blocks.pop(event["message_id"], None) or Blocks()
        whole = str(event.get("full_content", ""))
        if whole.startswith(blocks.text):
            # Also when nothing came before: a viewer may have missed the deltas.
            return blocks.feed(whole[len(blocks.text) :]) + blocks.finish()
        return blocks.finish()

    def lost(self) -> None:
        """The daemon has gone: what ran is no longer known, and begins again."""
        self.running = ""
        self.queued.clear()
        self._blocks.clear()

    def refreshed(self, session: JSON, tasks: list[JSON], mail: int) -> None:
        """Take over what the daemon says of the session, the tasks and the operator's mail."""
        self._known = session
        self._mail = mail
        self._tasks = int(session.get("openTasks") or 0)
        self.open_tasks = [str(task["id"]) for task in tasks if task.get("status") in OPEN_STATES]
        turn = session.get("turn")
        # What was asked before a turn ended may arrive after its end.
        if turn and not self.running and turn.get("id") not in self._ended_runs:
            self.running, self.since = str(turn.get("id")), time.monotonic()

    def standing(self, now: float) -> Standing:
        """The facts of the status line."""
        tokens, usage = (self._known.get(key) or {} for key in ("tokens", "usage"))
        return Standing(
            session=self.id,
            model=self.model,
            used=int(tokens.get("used") or 0),
            window=int(tokens.get("window") or 0),
            cost=usage.get("cost"),
            estimated=bool(usage.get("estimated")),
            unread=self._mail,
            tasks=self._tasks,
            seconds=now - self.opened,
            paused=self._known.get("status") == "paused",
        )
