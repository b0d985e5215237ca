"""The operator's own tools in a daemon: called, edited, broken, and what the operator sees."""

from __future__ import annotations

from pathlib import Path

from clawd.testing.daemon import Start
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call, say
from clawd.testing.steps import calls

WEATHER = '''
from clawd.tools import progress, tool

@tool
def forecast(city: str) -> dict:
    """The weather of a city.

    Args:
        city: where
    """
    progress(f"looking at {city}")
    return {"city": city, "sky": "clear"}

@tool
async def broken() -> str:
    """Divide by zero."""
    return str(1 / 0)

@tool(seconds=0.2)
async def hangs() -> str:
    """Never end."""
    import asyncio
    await asyncio.Event().wait()
    return ""

@tool
def ends() -> str:
    """End the process."""
    raise SystemExit(3)

@tool(untrusted=True)
def reads() -> str:
    """Read from outside."""
    return "from outside"

@tool
def list_agents() -> str:
    """Take a name of clawd's own."""
    return "mine"

ALL = [forecast, broken, hangs, ends, reads, list_agents]
'''


def write(home: Path, name: str, text: str) -> None:
    """A module of the operator's."""
    (home / "tools").mkdir(parents=True, exist_ok=True)
    new = home / "tools" / f".{name}.new"
    new.write_text(text, encoding="utf-8")
    new.replace(home / "tools" / f"{name}.py")


async def test_a_model_calls_the_operators_functions(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """M17: one decorator for all; a tool that raises, hangs or exits is the model's to know."""
    write(tmp_path / "home", "weather", WEATHER)
    daemon = await start("a", a={"tools": {"load": ["weather:ALL"]}})
    names = ("broken", "hangs", "ends")
    together = calls(call("forecast", city="Bern"), *(call(name) for name in names))
    model.script("a", [together, say("done")])
    assert await daemon.say("a", "go on") == "done"
    results = [str(m["content"]) for m in model.requests[-1].messages if m["role"] == "tool"]
    assert results[0] == '{"city":"Bern","sky":"clear"}'
    assert "ZeroDivisionError: division by zero (weather.py:17)" in results[1]
    assert "tool_timeout" in results[2]
    assert "SystemExit: 3" in results[3]
    assert [e["message"] for e in daemon.named("tool_call_progress")] == ["looking at Bern"]
    assert (await daemon.get("/api/status"))["sessions"]["failed"] == 0


async def test_the_operator_sees_groups_and_clashes(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """`clawd tools list`: whose each tool is, and why one is not there."""
    write(tmp_path / "home", "weather", WEATHER)
    daemon = await start("a", a={"tools": {"load": ["weather:ALL", "gone:x"]}})
    found = await daemon.get("/api/tools", session="a")
    groups = {item["name"]: item["group"] for item in found["items"]}
    assert groups["forecast"] == "own: weather"
    assert groups["list_agents"] == "comms"
    gone, taken = found["problems"]
    assert "there is no module gone; put gone.py into" in gone
    assert "list_agents is a tool of clawd's own" in taken
    told = [n["text"] for n in daemon.named("notice") if n["code"] == "own_tools"]
    assert told == [gone, taken]
    assert "agents" in await daemon.tool("a", "list_agents")


async def test_an_edit_is_in_the_next_turn_and_a_broken_one_changes_nothing(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """R01: no restart; while the file is broken the version before it goes on, and that is told."""
    home = tmp_path / "home"
    write(home, "weather", WEATHER)
    daemon = await start("a", a={"tools": {"load": ["weather:forecast"]}})

    async def sky() -> str:
        return str((await daemon.tool("a", "forecast", city="Bern"))["sky"])

    assert await sky() == "clear"
    write(home, "weather", WEATHER.replace("clear", "cloudy"))
    assert await sky() == "cloudy"
    write(home, "weather", WEATHER + "\n(")
    assert await sky() == "cloudy"
    (problem,) = (await daemon.get("/api/tools", session="a"))["problems"]
    assert "SyntaxError" in problem
    assert "weather.py:" in problem
    write(home, "weather", WEATHER.replace("clear", "wet"))
    assert await sky() == "wet"


async def test_settings_that_name_a_tool_later_load_it(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """R01: `tools.load` takes effect on reload; a daemon without it has nothing of the folder."""
    write(tmp_path / "home", "weather", WEATHER)
    daemon = await start("a")
    names = [item["name"] for item in (await daemon.get("/api/tools", session="a"))["items"]]
    assert "forecast" not in names
    settings = {"tools": {"load": ["weather:forecast"]}}
    write_config(daemon.home, scripted(model.url, "a", a=settings))
    await daemon.until(lambda e: e.get("code") == "config_reloaded")
    assert (await daemon.tool("a", "forecast", city="Bern"))["sky"] == "clear"
