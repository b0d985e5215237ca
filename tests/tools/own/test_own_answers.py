"""What an own function may return, and what it may raise."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from clawd.agent.tool import Answer
from clawd.errors import ClawdError, Invalid, NotFound, TimedOut
from clawd.testing.toolbench import ToolBench
from clawd.tools import Workbench, progress, tool
from clawd.tools.own.answering import as_answer


@dataclass
class Point:
    x: int


class Model(BaseModel):
    day: dt.date


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("text", "text"),
        ("", ""),
        (None, "done"),
        (7, "7"),
        (0.5, "0.5"),
        (True, "true"),
        ([1, "a"], '[1,"a"]'),
        ({"a": 1}, '{"a":1}'),
        ({}, "{}"),
        ({1: {"b": None}}, '{"1":{"b":null}}'),
        (Point(3), '{"x":3}'),
        (Model(day=dt.date(2026, 1, 2)), '{"day":"2026-01-02"}'),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
        (Path("/a"), '"/a"'),
        (Answer("both", {"a": 1}), 'both\n{"a":1}'),
    ],
)
def test_whatever_json_can_hold_is_an_answer(result: object, shown: str) -> None:
    """A stranger's function needs to know nothing of ``Answer``."""
    assert as_answer(result).render() == shown


@tool
def forecast(city: str, days: int = 1) -> dict[str, Any]:
    """The weather.

    Args:
        city: where
        days: for how many days
    """
    progress(f"looking at {city}")
    if city == "Nowhere":
        raise NotFound("no_city", "there is no such city", hint="name another")
    return {"city": city, "days": days}


class Notes:
    """A toolbox that keeps what it is told in the workspace."""

    def __init__(self, bench: Workbench) -> None:
        self._file = bench.workspace / "own.txt"
        self._trust = bench.trust

    @tool(untrusted=True)
    async def fetch(self) -> str:
        """Read from outside."""
        return "from outside"

    @tool(seconds=0.01)
    async def hang(self) -> str:
        """Never end."""
        await asyncio.Event().wait()
        return ""

    @tool
    async def note(self, text: str) -> int:
        """Keep a line.

        Args:
            text: the line
        """
        self._file.write_text(text, encoding="utf-8")
        return len(text)

    @tool
    async def ends(self) -> str:
        """Try to end the daemon."""
        raise SystemExit(3)


async def test_a_tool_is_tested_in_five_lines(tmp_path: Path) -> None:
    """The promise of docs/own-tools.md."""
    async with ToolBench(tmp_path) as bench:
        answer = await bench.call(forecast, city="Bern")
        assert answer.facts == {"city": "Bern", "days": 1}
        assert bench.progress == ["looking at Bern"]


async def test_the_bench_checks_and_fails_as_a_session_does(tmp_path: Path) -> None:
    """Wrong arguments, own errors, bugs, time, exits: what a model would read."""
    async with ToolBench(tmp_path, Notes) as bench:
        with pytest.raises(Invalid, match="cty: unknown parameter, did you mean city"):
            await bench.call(forecast, cty="Bern")
        with pytest.raises(NotFound) as own:
            await bench.call(forecast, city="Nowhere")
        assert own.value.as_json()["error"] == "no_city"
        with pytest.raises(TimedOut):
            await bench.call("hang")
        with pytest.raises(ClawdError, match="SystemExit: 3"):
            await bench.call(Notes.ends)
        with pytest.raises(Invalid, match="no tool named 'nte'") as unknown:
            await bench.call("nte", text="x")
        assert "did you mean note?" in unknown.value.hint
        with pytest.raises(Invalid, match="print is no tool"):
            await ToolBench(tmp_path, print).call("print")


async def test_a_toolbox_has_the_bench(tmp_path: Path) -> None:
    """Its workspace, its settings, and what marks a turn."""
    async with ToolBench(tmp_path, Notes, tools={"exec": True}) as bench:
        assert (await bench.call("note", text="abc")).text == "3"
        assert (tmp_path / "own.txt").read_text(encoding="utf-8") == "abc"
        assert bench.bench.settings.tools.exec
        assert not bench.untrusted
        await bench.call("fetch")
        assert bench.untrusted
