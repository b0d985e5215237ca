"""What the events of one turn come to: a fold, and the exit codes."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.cli.chat.one_answer import Answer
from clawd.cli.client import error_from, failure
from clawd.cli.commands.sessions import REMOVE_SECONDS
from clawd.errors import Refused
from clawd.sessions.leaving import CANCEL_SECONDS, DRAIN_SECONDS


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("provider_auth", 6), ("provider_quota", 6), ("provider_model", 6), ("provider_cut", 6),
        ("provider_busy", 75), ("provider_unreachable", 75),
        ("provider_timeout", 7), ("timed_out", 7), ("too_many_model_calls", 1),
    ],
)  # fmt: skip
def test_exit_codes_of_a_failed_turn(code: str, exit_code: int) -> None:
    """The code of a failed turn's error decides: refused, busy, over time, or just failed."""
    assert failure(code, "text", otherwise=Refused).exit_code == exit_code


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [(400, 2), (404, 5), (409, 1), (422, 3), (429, 1), (500, 1), (504, 7), (507, 1)],
)
def test_exit_codes_of_refused_requests(status: int, exit_code: int) -> None:
    """Each HTTP status of the local API has its exit code; message and hint are kept."""
    error = {"code": "some_code", "message": "Some text", "hint": "Do this"}
    problem = error_from(status, {"error": error})
    assert (problem.exit_code, problem.code, problem.hint) == (exit_code, "some_code", "Do this")


def event(name: str, **fields: Any) -> dict[str, Any]:
    """An event of the turn."""
    return {"event": name, "run_id": "t", **fields}


def test_an_answer_is_gathered() -> None:
    """Result, usage, what was called and how it ended, and what was denied."""
    got = Answer("default")
    call = {"tool_call_id": "c", "tool_name": "exec"}
    got.take(event("tool_call_start", **call, arguments={"command": "ls"}))
    got.take(event("tool_call_error", **call, error={"error": "tool_denied"}, duration_ms=1.0))
    assert got.document()["result"] == ""
    got.take(event("run_finished", final_message="Done", usage={"inputTokens": 3}))
    assert got.over
    document = got.document()
    assert document["ok"] is False
    assert document["denied"] == ["exec"]
    assert document["result"] == "Done"
    assert document["usage"] == {"inputTokens": 3}
    (shown,) = document["toolCalls"]
    assert shown == {
        "id": "c", "name": "exec", "arguments": {"command": "ls"}, "ok": False, "milliseconds": 1.0,
    }  # fmt: skip


def test_a_failed_turn_is_not_ok() -> None:
    """The error of a failed turn is in the document, with its code."""
    got = Answer("default")
    got.take(event("run_failed", error={"error": "provider_auth", "message": "No"}))
    document = got.document()
    assert document["ok"] is False
    assert document["error"] == {"code": "provider_auth", "message": "No", "hint": ""}


def test_a_removal_outlasts_the_drain() -> None:
    """`sessions rm` waits for longer than the daemon lets a running turn take to its end."""
    assert REMOVE_SECONDS >= DRAIN_SECONDS + CANCEL_SECONDS + 10


def test_hints_for_models_become_commands() -> None:
    """A human is never told to call a tool: the hint names the command instead."""
    error = {"code": "unknown_task", "message": "x", "hint": "check_async_tasks lists yours"}
    assert error_from(404, {"error": error}).hint == "see: clawd tasks list"
    error["hint"] = "list_agents shows who is there"
    assert error_from(404, {"error": error}).hint == "see: clawd sessions list"
    error["hint"] = "did you mean 'coder'?"
    assert error_from(404, {"error": error}).hint == "did you mean 'coder'?"
