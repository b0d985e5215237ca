"""What the chat keeps of its session: a fold over events."""

from __future__ import annotations

from typing import Any

from clawd.cli.chat.turns import Turns

SESSION: dict[str, Any] = {
    "id": "default", "template": "offline", "model": "offline-1", "unread": 2, "openTasks": 1,
    "tokens": {"used": 5, "window": 10}, "usage": {"cost": 0.5}, "turn": None,
}  # fmt: skip


def event(name: str, run: str = "turn-1", **fields: Any) -> dict[str, Any]:
    """An event of a turn of the session."""
    return {"event": name, "session": "default", "run_id": run, **fields}


def test_a_queued_line_leaves_the_queue_when_its_turn_begins() -> None:
    """What is typed while a turn runs is queued, in order, until its own turn starts or ends."""
    turns = Turns(SESSION)
    turns.take(event("run_started"), 1.0)
    turns.take(event("prompt_queued", "turn-2", text="two", ahead=1), 2.0)
    turns.take(event("prompt_queued", "turn-3", text="three", ahead=2), 2.0)
    assert list(turns.queued.values()) == ["two", "three"]
    turns.take(event("run_finished"), 3.0)
    assert turns.running == ""
    turns.take(event("run_started", "turn-2"), 3.0)
    assert (turns.running, turns.since) == ("turn-2", 3.0)
    turns.take(event("run_failed", "turn-3", error={"error": "cancelled"}), 4.0)
    assert not turns.queued
    assert turns.running == "turn-2"


def test_text_comes_out_once_also_after_a_gap() -> None:
    """Deltas that were missed come with the end of the message; nothing comes twice."""
    turns = Turns(SESSION)
    found = turns.take(event("text_message_content", message_id="m", content="one\n\ntw"), 0.0)
    assert (found, turns.tail) == (["one"], "tw")
    found = turns.take(event("text_message_end", message_id="m", full_content="one\n\ntwo\n"), 0.0)
    assert (found, turns.tail) == (["two"], "")
    assert turns.take(event("text_message_end", message_id="n", full_content="x"), 0.0) == ["x"]


def test_an_answer_that_begins_anew_is_shown_from_its_beginning() -> None:
    """What was cut off stays on the screen as it came, and is no part of the other answer."""
    turns = Turns(SESSION)
    turns.take(event("run_started"), 0.0)
    turns.take(event("text_message_content", message_id="m", content="half a sent"), 0.0)
    half = event("text_message_end", message_id="m", full_content="half a sent", partial=True)
    assert turns.take(half, 0.0) == ["half a sent"]
    turns.take(event("text_message_content", message_id="n", content="another "), 0.0)
    assert turns.tail == "another "
    whole = event("text_message_end", message_id="n", full_content="another one")
    assert turns.take(whole, 0.0) == ["another one"]
    assert turns.take(event("run_finished", final_message="another one"), 1.0) == []


def test_a_turn_that_ends_in_mid_sentence_keeps_what_came() -> None:
    """A stopped turn's partial text is not lost."""
    turns = Turns(SESSION)
    turns.take(event("run_started"), 0.0)
    turns.take(event("text_message_content", message_id="m", content="half a sent"), 0.0)
    assert turns.take(event("run_failed", error={}), 0.0) == ["half a sent"]


def test_what_a_lost_daemon_had_begun_to_say_is_not_said_again() -> None:
    """A turn that goes on after a crash begins its answer anew: the old beginning is dropped."""
    turns = Turns(SESSION)
    turns.take(event("run_started"), 0.0)
    turns.take(event("text_message_content", message_id="m", content="half an ans"), 0.0)
    turns.lost()
    assert turns.tail == ""
    turns.take(event("run_started"), 1.0)
    assert turns.take(event("text_message_end", message_id="n", full_content="whole"), 1.0) == [
        "whole"
    ]
    assert turns.take(event("run_finished", final_message="whole"), 1.0) == []


def test_an_old_answer_does_not_bring_an_ended_turn_back() -> None:
    """A record that was read before the turn ended and arrives afterwards changes nothing."""
    turns = Turns(SESSION)
    turns.take(event("run_started"), 0.0)
    turns.take(event("run_finished"), 1.0)
    turns.refreshed({**SESSION, "turn": {"id": "turn-1", "trigger": "user"}}, [], 0)
    assert turns.running == ""
    turns.refreshed({**SESSION, "turn": {"id": "turn-2", "trigger": "user"}}, [], 0)
    assert turns.running == "turn-2"


def test_other_sessions_are_not_followed() -> None:
    """Events of another session change nothing."""
    turns = Turns(SESSION)
    turns.take({**event("run_started"), "session": "coder"}, 0.0)
    assert turns.running == ""


def test_the_standing() -> None:
    """The status line's facts come from the session's record."""
    turns = Turns(SESSION, since=10.0)
    turns.refreshed(SESSION, [{"id": "task-1", "status": "pending"}], 2)
    assert turns.open_tasks == ["task-1"]
    now = turns.standing(70.0)
    assert (now.model, now.used, now.window, now.unread, now.tasks, now.cost, now.seconds) == (
        "offline", 5, 10, 2, 1, 0.5, 60.0,
    )  # fmt: skip
