"""What was used, at the terminal: by each axis, aligned, with estimates and limits shown."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Home

TODAY = datetime.now().astimezone().date()


def call(number: int, days_ago: int, session: str, **more: Any) -> dict[str, Any]:
    """A line of the ledger."""
    return {
        "id": f"use-{number}",
        "time": "2026-01-01T00:00:00.000Z",
        "day": (TODAY - timedelta(days_ago)).isoformat(),
        "session": session,
        "payer": session,
        "template": "openai",
        "model": "gpt",
        "trace": f"trace-{number}",
        "turn": f"turn-{number}",
        "inputTokens": 1000,
        "outputTokens": 100,
        **more,
    }


@pytest.fixture
def spent(home: Home) -> Home:
    """A home in which something was spent, with a limit of which 90 % are gone."""
    lines = [
        call(1, 3, "default", cost=0.30),
        call(2, 0, "default", cost=0.50, cachedTokens=800),
        call(3, 0, "researcher", cost=0.40, estimated=True, inputTokens=30_000),
    ]
    state = home.path / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    (state / "usage.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    limits = {"maxCostPerDay": 1.0, "maxTokensPerDay": 1_000_000}
    config = {"sessions": {"default": {}, "researcher": {}}, "limits": limits}
    (home.path / "config.json").write_text(json.dumps(config))
    home.run("start")
    return home


def test_usage_by_session(spent: Home) -> None:
    """Numbers stand under each other, estimates are marked, and the limits come first."""
    lines = spent.run("usage", "--by", "session").stdout.splitlines()
    assert lines[0].startswith("the daemon, today: 3% of maxTokensPerDay (31.2k of 1M)")
    assert lines[1] == "the daemon, today: 90% of maxCostPerDay ($0.90 of $1.00)"
    titles, first, second, total = lines[3:]
    assert titles.split() == ["SESSION", "CALLS", "INPUT", "OUTPUT", "CACHED", "COST", "SHARE"]
    assert first.split()[:6] == ["researcher", "1", "~30k", "~100", "~$0.40", "33%"]
    assert second.split()[:7] == ["default", "2", "2k", "200", "800", "$0.80", "67%"]
    assert total.split() == ["total", "3", "~32k", "~300", "800", "~$1.20", "100%"]
    ends = {line.index(cost) + len(cost) for line, cost in
            ((titles, "COST"), (first, "$0.40"), (second, "$0.80"), (total, "$1.20"))}  # fmt: skip
    assert len(ends) == 1


@pytest.mark.parametrize("by", ["day", "session", "model", "trace"])
def test_every_axis_has_its_document(spent: Home, by: str) -> None:
    """One document each; all of them sum to the same, also from a day on."""
    document = spent.json("usage", "--by", by)
    assert document["schema"] == "clawd.usage/1"
    assert all(item[by] for item in document["items"])
    assert document["total"]["cost"] == pytest.approx(1.2)
    assert sum(item["calls"] for item in document["items"]) == 3
    assert document["total"]["estimatedTokens"] == 30_100
    since = spent.json("usage", "--by", by, "--since", "2d")
    assert since["total"]["cost"] == pytest.approx(0.9)


def test_usage_by_trace_fits_80_columns(spent: Home) -> None:
    """Ids are whole and in a row of their own; on a wide terminal the session and day are named."""
    ids = [f"trace-{number:026}" for number in range(3)]
    with (spent.path / "state" / "usage.jsonl").open("a") as file:
        for at, trace in enumerate(ids):
            line = call(10 + at, 0, "researcher", trace=trace, cost=12.5, estimated=True)
            file.write(json.dumps(line | {"inputTokens": 123_456}) + "\n")
    for columns, words in (("80", ()), ("150", (f"(researcher, {TODAY})",))):
        spent.environment["COLUMNS"] = columns
        lines = spent.run("usage", "--by", "trace").stdout.splitlines()
        assert all(len(line) <= int(columns) for line in lines), lines
        for trace in ids:
            assert [all(w in line for w in words) for line in lines if trace in line] == [True]


def test_usage_in_words(spent: Home) -> None:
    """--plain gives facts without bars; a day that is none is refused with 2."""
    plain = spent.run("usage", "--plain").stdout
    assert "█" not in plain
    assert "share: 25%" in plain
    ended = spent.run("usage", "--since", "yesterday")
    assert (ended.returncode, "7d for the last seven" in ended.stderr) == (2, True)


def test_status_names_what_is_near(spent: Home) -> None:
    """Today's spending, and the limit of which 80 % are gone; not the other."""
    shown = spent.run("status").stdout
    assert "today: ~31.2k tokens · ~$0.90 · 2 calls" in shown
    assert "90% of maxCostPerDay" in shown
    assert "maxTokensPerDay" not in shown


def test_a_purse_too_small_for_the_first_call(home: Home, silent_port: int) -> None:
    """--max-cost holds before the call: nothing is asked, and the error says what remains."""
    home.silence(silent_port)
    config = json.loads((home.path / "config.json").read_text())
    config["providerTemplates"]["silent"]["prices"] = {"m": {"input": 100, "output": 100}}
    (home.path / "config.json").write_text(json.dumps(config))
    ended = home.run("chat", "-p", "hello", "--max-cost", "0.001")
    assert ended.returncode == 1, ended
    assert ended.stdout == ""
    assert "$0.0010 remain" in ended.stderr
    used = home.json("usage", "--by", "session")["items"]
    assert [item["session"] for item in used] == ["operator"], "init's one call, and no other"


def test_one_call_is_one(home: Home) -> None:
    """A single call of the day is no "1 calls"."""
    state = home.path / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    (state / "usage.jsonl").write_text(json.dumps(call(1, 0, "default")) + "\n")
    (home.path / "config.json").write_text('{"sessions": {"default": {}}}')
    home.run("start")
    assert home.run("status").stdout.count("today: 1.1k tokens · 1 call\n") == 1


def test_tasks_with_what_they_used_fit_80_columns(home: Home) -> None:
    """An id takes 31 columns: of tokens and their price a narrow terminal shows the price."""
    state = home.path / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    task = {
        "id": f"task-{7:026}", "fromSession": "default", "toSession": "researcher", "task": "look",
        "status": "completed", "createdAt": f"{TODAY}T00:00:00.000Z",
        "completedAt": f"{TODAY}T00:00:01.000Z", "result": "seen",
    }  # fmt: skip
    line = call(1, 0, "researcher", task=task["id"], cost=0.0301)
    (state / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    (state / "usage.jsonl").write_text(json.dumps(line) + "\n")
    (home.path / "config.json").write_text('{"sessions": {"default": {}, "researcher": {}}}')
    home.run("start")
    home.environment["COLUMNS"] = "80"
    lines = home.run("tasks", "list").stdout.splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    assert ("$0.03" in lines[-1], "tokens" in lines[-1]) == (True, False)
    home.environment["COLUMNS"] = "150"
    assert "1.1k tokens, $0.03" in home.run("tasks", "list").stdout
