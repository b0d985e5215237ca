"""When everything that one cause led to has ended: a fold over events."""

from __future__ import annotations

from clawd.cli.output import JSON

_FINAL = frozenset({"completed", "failed", "cancelled"})
_OPERATOR = "operator"


class Quiet:
    """Knows what is under way: turns, the first one given; tasks; mail that nobody has read.

    A verdict that its creator has not been told yet is under way too.
    """

    def __init__(self, turn: str) -> None:
        self.under_way = {turn}
        self._threads: set[str] = set()

    def take(self, event: JSON) -> bool:
        """Follow one event; whether nothing is under way after it."""
        match event.get("event"):
            case "prompt_queued" | "run_started":
                self.under_way.add(str(event["run_id"]))
            case "run_finished" | "run_failed":
                self.under_way.discard(str(event["run_id"]))
            case "task_updated":
                self._task(event["task"])
            case "session_message":
                self._message(event["message"])
        return not self.under_way

    def _task(self, task: JSON) -> None:
        final = task["status"] in _FINAL
        untold = task["id"] not in self._threads and task["fromSession"] != _OPERATOR
        self._mark(task["id"], not final)
        self._mark(f"verdict of {task['id']}", final and untold)

    def _message(self, message: JSON) -> None:
        thread = str(message.get("threadId") or "")
        self._threads.add(thread)
        self._mark(f"verdict of {thread}", False)
        waits = message.get("state", "stored") in ("stored", "delivered") and not message["read"]
        self._mark(f"mail {message['id']}", waits and message["to"] != _OPERATOR)

    def _mark(self, name: str, under_way: bool) -> None:
        if under_way:
            self.under_way.add(name)
        else:
            self.under_way.discard(name)
