"""``clawd chat -p``: one prompt, one answer, nothing else on stdout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from clawd.cli.clean import one_line
from clawd.cli.client import JSON, Client, failure
from clawd.cli.events import Events
from clawd.cli.nearest import quoted
from clawd.cli.output import Output
from clawd.cli.watch import stopped_after
from clawd.errors import ClawdError, Refused, TimedOut

Form = Literal["text", "json", "stream-json"]

DENIED = frozenset(
    {"denied", "tool_denied", "approval_denied", "approval_required", "approval_expired"}
)
"""Codes of a tool call that was refused because of what the caller may do."""


@dataclass
class Answer:
    """What one turn came to, gathered from its events."""

    session: str
    result: str = ""
    usage: JSON = field(default_factory=dict)
    tool_calls: list[JSON] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    error: JSON | None = None
    over: bool = False

    def take(self, event: JSON) -> None:
        """One event of the turn."""
        match event.get("event"):
            case "tool_call_start" if event["tool_call_id"] not in self._seen():
                self.tool_calls.append(
                    {"id": event["tool_call_id"], "name": event["tool_name"],
                     "arguments": event.get("arguments"), "ok": None}
                )  # fmt: skip
            case "tool_call_end":
                self._ended(event, event.get("success", True))
            case "tool_call_error":
                self._ended(event, False)
                error = event.get("error") or {}
                if (error.get("error") or error.get("code")) in DENIED:
                    self.denied.append(str(event.get("tool_name")))
            case "run_finished":
                self.result, self.usage = event.get("final_message", ""), event.get("usage", {})
                self.over = True
            case "run_failed":
                self.error, self.usage = event.get("error", {}), event.get("usage", {})
                self.over = True

    def _seen(self) -> set[str]:
        # A call that waited for a yes is begun a second time.
        return {str(call["id"]) for call in self.tool_calls}

    def _ended(self, event: JSON, ok: bool) -> None:
        for call in self.tool_calls:
            if call["id"] == event["tool_call_id"]:
                call["ok"] = ok
                call["milliseconds"] = event.get("duration_ms")

    def document(self) -> JSON:
        """The answer as the document of ``--output json``."""
        body: JSON = {
            "schema": "clawd.run/1",
            "session": self.session,
            "ok": self.error is None and not self.denied,
            "result": self.result,
            "usage": self.usage,
            "toolCalls": self.tool_calls,
            "denied": self.denied,
            "resume": f"clawd chat -s {self.session}",
        }
        if self.error is not None:
            body["error"] = _code_first(self.error)
        return body


def answer(
    client: Client,
    out: Output,
    session: str,
    text: str,
    *,
    new: bool = False,
    form: Form = "text",
    max_cost: float | None = None,
    limit: float | None = None,
) -> int:
    """Prompt the session, wait for the end of the turn, write the answer; the exit code.

    An interruption and the time ``limit`` (seconds) cancel the turn; ``max_cost`` (USD) is the
    purse of all that the prompt leads to.
    """
    path = f"/api/sessions/{quoted(session, 'session')}"
    budget = {} if max_cost is None else {"budget": {"maxCost": max_cost}}
    turn = client.post(f"{path}/prompt", {"text": text, "new": new, **budget})
    got = Answer(session)
    if turn.get("paused"):
        out.note(f"{session} is paused: the line waits for clawd resume")
    if turn.get("ahead"):
        out.detail(f"{turn['ahead']} turns come first")

    def cancel() -> None:
        client.post(f"{path}/cancel", {"turn": turn["turn"]}, timeout=5.0)

    events = Events(client, after=int(turn["seq"]), session=session)
    try:
        with stopped_after(limit, events.close) as watch:
            for event in events:
                if event.get("run_id") != turn["turn"]:
                    continue
                if form == "stream-json":
                    out.document(event)
                got.take(event)
                _tell(event, out)
                if got.over:
                    break
    except (KeyboardInterrupt, SystemExit):
        _quietly(cancel)
        raise
    finally:
        events.close()
    if watch.over and not got.over:
        _quietly(cancel)
        raise TimedOut("timed_out", f"no answer within {limit:g} s", hint="the turn was cancelled")
    return _write(got, out, form)


def _tell(event: JSON, out: Output) -> None:
    """Why nothing comes, on stderr."""
    if event.get("event") == "run_suspended" and event.get("reason") != "approval":
        out.note("the turn stands still; it goes on after clawd resume, or a restart")
    elif event.get("event") == "approval_requested":
        waits = event["approval"]
        verb = "answer" if waits["kind"] == "question" else "allow"
        what = one_line(str(waits["text"] if verb == "answer" else waits["tool"]), 200)
        out.note(f"waits for you: {what}; clawd approvals {verb} {waits['id']}")


def _write(got: Answer, out: Output, form: Form) -> int:
    if form == "json":
        out.document(got.document())
    elif form == "text" and got.error is None:
        out.line(got.result)
    if got.error is not None:
        problem = _problem(got.error)
        if form == "text":
            out.error(problem)
        return 130 if problem.code == "cancelled" else problem.exit_code
    if got.denied:
        out.note(("denied: ", "red"), ", ".join(got.denied))
        return 1
    return 0


def _problem(error: JSON) -> ClawdError:
    fields = _code_first(error)
    return failure(str(fields["code"]), str(fields["message"]), str(fields["hint"]), Refused)


def _code_first(error: JSON) -> JSON:
    code = str(error.get("code") or error.get("error") or "failed")
    return {"code": code, "message": error.get("message", code), "hint": error.get("hint") or ""}


def _quietly(cancel: Callable[[], None]) -> None:
    try:
        cancel()
    except ClawdError:
        pass  # the daemon has gone: nothing is left to cancel
