"""``clawd trace, pause, resume``: what a human reads of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clawd.cli.tree import rows, told

if TYPE_CHECKING:
    from tests.cli.conftest import Home

WORK = (
    "Use delegate_task_async with "
    '{"target_session": "researcher", "task": "Use list_agents"} then use list_agents'
)


def step(kind: str, id: str, parent: str = "", second: int = 0, **more: Any) -> dict[str, Any]:
    """A step of a trace."""
    return {
        "kind": kind, "id": id, "parent": parent, "time": f"2026-01-01T00:00:{second:02}.000Z",
    } | more  # fmt: skip


def test_a_chain_goes_straight_down_and_only_what_parts_is_indented() -> None:
    """Two of one turn stand side by side below it; what follows from one stays with it."""
    steps = [
        step("turn", "t1"),
        step("message", "m1", "t1", 1),
        step("message", "m2", "t1", 2),
        step("turn", "t2", "m1", 3),
        step("message", "m3", "t2", 4),
        step("turn", "lost", "nobody-knows", 5),
    ]
    drawn = [(row.step["id"], row.depth, row.after) for row in rows(steps)]
    assert drawn == [
        ("t1", 0, 0), ("m1", 1, 1), ("t2", 1, 3), ("m3", 1, 4), ("m2", 1, 2), ("lost", 0, 5),
    ]  # fmt: skip


def test_steps_that_go_round_in_a_circle_are_no_endless_tree() -> None:
    """A damaged log may say that each came from the other."""
    steps = [step("turn", "a", "b"), step("turn", "b", "a"), step("turn", "c")]
    assert [row.step["id"] for row in rows(steps)] == ["c"]


def test_a_step_says_who_what_how_it_ended_and_what_it_cost() -> None:
    """A failed turn with its reason, tokens and cost; text from elsewhere is harmless."""
    failed = step(
        "turn", "t1", session="a", trigger="user", text="hi\x1b[31m\nthere", state="failed",
        seconds=61.0, error={"error": "provider_busy"},
        usage={"inputTokens": 1200, "outputTokens": 30, "cost": 0.02, "estimated": True},
    )  # fmt: skip
    (row,) = rows([failed])
    text = "".join(part for part, _ in told(row, plain=False))
    assert text == ('   0.0s  ● a you: "hi there" failed (provider_busy) 1m ~1.2k/30 ~$0.02')


def test_trace_draws_what_was_done(home: Home) -> None:
    """The list has the trace with its cause; the tree each step, on 80 columns and plain too."""
    assert home.run("chat", "-p", WORK).returncode == 0
    home.run("tasks", "wait", home.json("tasks", "list")["items"][0]["id"])
    (item,) = home.json("trace")["items"]
    assert item["id"] in home.run("trace").stdout
    drawn = home.run("trace", item["id"]).stdout
    assert "default → researcher" in drawn
    home.environment["COLUMNS"] = "80"
    narrow = home.run("trace", item["id"][:20]).stdout.splitlines()
    assert all(len(line) <= 80 for line in narrow[1:]), narrow
    assert "default to researcher" in home.run("trace", item["id"], "--plain").stdout
    unknown = home.run("trace", "turn-000")
    assert (unknown.returncode, "clawd trace lists" in unknown.stderr) == (5, True)
    assert home.run("trace", "nonsense").returncode == 5


def test_pause_and_resume_in_words(home: Home) -> None:
    """Each says what it did and what comes next; status shows who stands still."""
    home.json("start")
    assert home.json("pause", "coder") == {
        "schema": "clawd.pause/1", "paused": True, "session": "coder", "turns": [],
    }  # fmt: skip
    assert "paused: coder" in home.run("status").stdout
    assert "coder is paused" in home.run("send", "coder", "hi").stderr
    assert home.run("pause").stdout.startswith("every session is paused")
    refused = home.run("resume", "coder")
    assert (refused.returncode, "clawd resume goes on with all" in refused.stderr) == (1, True)
    late = home.run("chat", "-p", "hi", "--timeout", "1")
    assert (late.returncode, "is paused" in late.stderr) == (7, True)
    assert "sessions go on" in home.run("resume").stdout
    assert home.run("resume").stdout.strip() == "nothing was paused"
    assert "did you mean coder?" in home.run("pause", "codr").stderr
