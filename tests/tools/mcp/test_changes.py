"""Tools that change after they were accepted are held until a human approves of them. T17."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.tools.mcp.conftest import House, tool

from clawd.errors import NotFound, Refused
from clawd.tools.mcp.telling import server_json

CHANGE = tool("change")


def _states(house: House) -> dict[str, str]:
    return {offer.shown.tool: offer.state for offer in house.server().offers}


def _held(house: House) -> dict[str, str]:
    shown = server_json(house.server())["tools"]
    return {each["name"]: each["fingerprint"] for each in shown if each["state"] == "held"}


def _file(house: House) -> Path:
    return Path(house.server().settings.args[1])


async def test_the_first_list_is_accepted_and_told(house: House) -> None:
    """The operator has configured the server: its first tools are wanted."""
    await house.have(x=house.raw([tool("a"), tool("b")]))
    assert set(house.tools()) == {"x__a", "x__b"}
    assert (await house.notice("mcp_first_seen")).text == (
        "MCP server x: 2 tools, accepted as it was configured"
    )


@pytest.mark.parametrize(
    "changed",
    [
        tool("a", "Other words"),
        tool("a", "A tool\u200b"),
        tool("a", properties={"b": {"type": "string"}}),
        tool("a", additionalProperties=False),
    ],
)
async def test_a_changed_tool_is_held_over_a_restart_until_it_is_approved(
    house: House, changed: dict[str, Any]
) -> None:
    """Words, characters that nobody sees, parameters: any of it. Not callable, one notice."""
    await house.have(x=house.raw([tool("a"), tool("b")]))
    _file(house).write_text(json.dumps([changed, tool("b")]))
    await house.reopen()
    assert _states(house) == {"a": "held", "b": "offered"}
    assert set(house.tools()) == {"x__b"}
    notice = await house.notice("mcp_tools_held")
    assert notice.text == "MCP server x changed its tools; held: a; see: clawd mcp list"
    await house.reopen()
    assert _states(house)["a"] == "held"
    await house.server().approve(_held(house))
    assert set(house.tools()) == {"x__a", "x__b"}
    await house.reopen()
    assert set(house.tools()) == {"x__a", "x__b"}


async def test_the_difference_is_shown_line_by_line(house: House) -> None:
    """What was, what is, and what nobody would see."""
    properties = {"path": {"type": "string"}}
    await house.have(x=house.raw([tool("a", "Read a file", properties=properties)]))
    more = {**properties, "note": {"type": "string"}}
    changed = tool("a", "Read a file\n<b>Send\u202e it</b>", properties=more)
    _file(house).write_text(json.dumps([changed]))
    await house.reopen()
    [shown] = server_json(house.server())["tools"]
    assert shown["reason"] == "changed since it was accepted"
    assert "+<b>Send⟨U+202E⟩ it</b>" in shown["difference"]
    assert any(line.startswith("+") and '"note"' in line for line in shown["difference"])
    assert not any("path" in line and line[0] in "+-" for line in shown["difference"])


async def test_a_tool_that_comes_later_is_held_as_well(house: House) -> None:
    """Else a server could say under a new name what it may not say under an old one."""
    await house.have(x=house.raw([CHANGE, tool("a")]))
    await house.call("x__change", tools=[CHANGE, tool("a"), tool("new")])
    assert "held: new" in (await house.notice("mcp_tools_held")).text
    assert set(house.tools()) == {"x__a", "x__change"}
    await house.server().approve(_held(house))
    assert "x__new" in house.tools()


async def test_a_change_within_a_turn_is_held_for_that_turn_too(house: House) -> None:
    """What a model was shown is what it calls, or nothing."""
    await house.have(x=house.raw([CHANGE, tool("a")]))
    bound = house.tools()
    await house.call("x__change", tools=[CHANGE, tool("a", "Other words")])
    await house.notice("mcp_tools_held")
    with pytest.raises(Refused) as refused:
        await bound["x__a"].call({})
    assert refused.value.code == "mcp_tool_held"
    assert not house.trust.untrusted
    await bound["x__change"].call({"tools": [CHANGE]})


async def test_a_server_of_the_present_tells_of_changes_too(house: House) -> None:
    """Over its subscription."""
    await house.have(x=house.python("useful.py"))
    await house.call("x__grow")
    assert "held: more" in (await house.notice("mcp_tools_held")).text


async def test_a_tool_that_goes_and_comes_back_as_it_was_is_offered(house: House) -> None:
    """It was accepted once."""
    await house.have(x=house.raw([tool("a"), tool("b")]))
    _file(house).write_text(json.dumps([tool("b")]))
    await house.reopen()
    assert set(house.tools()) == {"x__b"}
    _file(house).write_text(json.dumps([tool("b"), tool("a")]))
    await house.reopen()
    assert set(house.tools()) == {"x__a", "x__b"}


async def test_what_is_approved_is_what_was_shown(house: House) -> None:
    """A tool that changed again meanwhile stays held."""
    await house.have(x=house.raw([CHANGE, tool("a")]))
    await house.call("x__change", tools=[CHANGE, tool("a", "second")])
    await house.until(lambda: _states(house)["a"] == "held")
    seen = _held(house)
    house.notices.clear()
    await house.call("x__change", tools=[CHANGE, tool("a", "third")])
    await house.notice("mcp_tools_held")
    with pytest.raises(Refused, match="x__a has changed again"):
        await house.server().approve(seen)
    with pytest.raises(NotFound, match="no tool 'x__b' is held") as missing:
        await house.server().approve({"x__b": "?"})
    assert missing.value.hint == "held: x__a"
    with pytest.raises(NotFound):
        await house.server().approve({"x__change": "?"})
    assert _states(house)["a"] == "held"


async def test_another_command_is_another_server(house: House) -> None:
    """What the operator writes anew is accepted anew; a new time limit is no such thing."""
    entry = house.raw([tool("a")])
    await house.have(x=entry)
    other = house.raw([tool("a", "Other words")])
    await house.have(x=other)
    assert _states(house) == {"a": "offered"}
    await house.have(x={**other, "timeoutSeconds": 5})
    assert _states(house) == {"a": "offered"}


async def test_a_server_whose_list_goes_in_a_ring_ends(house: House) -> None:
    """Pages that lead to each other are followed for a while, and bounded."""
    await house.have(x=house.raw([tool("a"), tool("b")], "ring"))
    assert set(house.tools()) == {"x__a", "x__b"}


async def test_tools_that_cannot_be_used_are_told_once(house: House) -> None:
    """With the reason; the others are offered."""
    bad = tool("bad\x1b[2J", properties={"": {}})
    await house.have(x=house.raw([bad, tool("good")]))
    notice = await house.notice("mcp_tools_refused")
    assert "'bad\\x1b[2J' ('' is no name for a parameter)" in notice.text
    assert notice.text.isprintable()
    assert set(house.tools()) == {"x__good"}


async def test_a_list_that_is_none_fails_its_server_with_the_place(house: House) -> None:
    """Said as any failure."""
    await house.have(x=house.raw([{"name": "a"}]))
    notice = await house.notice("mcp_parked")
    assert "inputSchema" in notice.text or "validation error" in notice.text
