"""The scripted night, in short, and that its reckoning would notice a broken promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.faults.night import Night
from tests.faults.night_ledger import Ledger, delivered_twice, unreadable
from tests.faults.night_samples import curve, slope

JSON = dict[str, Any]


def message(number: int, **more: Any) -> JSON:
    """A line of a mailbox."""
    sent = {"id": f"msg-{number}", "from": "a", "to": "b", "content": f"hello t0k{number}z"}
    return sent | {"timestamp": "2026-01-01T00:00:00.000Z", "read": False} | more


def write(path: Path, *records: JSON) -> None:
    """A log of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.mark.faults
@pytest.mark.timeout(400)
async def test_a_short_night(tmp_path: Path) -> None:
    """Issue 3, done when: fifty sessions and everything that goes wrong; every promise is kept."""
    reckoning = await Night(tmp_path, 75, seed=7).run()
    assert reckoning.kept, reckoning.text()
    assert reckoning.restarts["kill -9"] >= 1
    assert len(reckoning.minds.met) > 20


def test_the_ledger_sees_what_is_lost(tmp_path: Path) -> None:
    """An acknowledged message in no file is lost; one that is there and unread has no end."""
    ledger = Ledger()
    ledger.acknowledged("a", {"id": "msg-1", "state": "stored"})
    ledger.acknowledged("a", {"messages": [{"to": "b", "id": "msg-2"}]})
    write(tmp_path / "workspaces/b/session_messages.jsonl", message(1))
    ledger.audit(tmp_path)
    assert ledger.lost() == ["msg-2"]
    assert ledger.unsettled() == ["msg-1", "msg-2"]
    write(tmp_path / "workspaces/b/session_messages.jsonl", message(1, state="read"))
    ledger.audit(tmp_path)
    assert ledger.unsettled() == ["msg-2"]


def test_the_ledger_sees_an_end_that_is_not_told(tmp_path: Path) -> None:
    """A final task without its verdict, and one with two, are broken promises."""
    ledger = Ledger()
    for number in (1, 2, 3):
        ledger.acknowledged("a", {"taskId": f"task-{number}", "createdAt": "now"})
    done = {"status": "completed", "task": "x"}
    write(tmp_path / "state/tasks.jsonl", *({"id": f"task-{n}"} | done for n in (1, 2)))
    verdicts = [message(n, type="task_result", threadId="task-2") for n in (5, 6)]
    write(tmp_path / "workspaces/a/session_messages.jsonl", *verdicts)
    ledger.audit(tmp_path)
    assert ledger.open_tasks() == ["task-3"]
    assert ledger.untold() == ["task-1 (0 times)", "task-2 (2 times)"]


def test_the_reckoning_sees_what_happened_twice(tmp_path: Path) -> None:
    """One message in two turns, and one tool call that became two messages."""
    said = {"role": "user", "content": "hello t0k1z"}
    write(
        tmp_path / "workspaces/b/history.jsonl",
        {"id": "line-1", "turn": "turn-1", "message": said},
        {"id": "line-2", "turn": "turn-2", "message": said},
    )
    write(tmp_path / "workspaces/b/session_messages.jsonl", message(1), message(1, id="msg-7"))
    assert delivered_twice(tmp_path) == [
        "b: t0k1z in ['turn-1', 'turn-2']",
        "b: t0k1z sent as ['msg-1', 'msg-7']",
    ]
    assert not unreadable(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/tasks.jsonl").write_text('{"id": 1}\n{"id": ', encoding="utf-8")
    assert unreadable(tmp_path) == ["state/tasks.jsonl:2: b'{\"id\": '"]


def test_the_figures_of_a_process() -> None:
    """A slope an hour through noise, and a curve as wide as it is told."""
    times = [float(t) for t in range(0, 3600, 60)]
    noisy = [100 + t / 360 + (t // 60) % 2 for t in times]
    assert 9.9 < slope(times, noisy) < 10.1
    drawn = curve(times, [50.0 for _ in times], width=30, height=4)
    assert all(len(line) <= 40 for line in drawn.splitlines())
    assert drawn.count("*") == 30 * 4
