"""A typed coroutine with a docstring is a tool; what a model may send is checked strictly."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from clawd.agent.tool import Answer, Tool, bind, parse_arguments, tool
from clawd.agent.toolset import Toolset
from clawd.errors import ClawdError, Invalid, Refused, TimedOut


class Box:
    """A toolbox as any part of the daemon has one."""

    def __init__(self, owner: str = "me") -> None:
        self.owner = owner

    @tool(aliases={"mark_read": "mark_as_read"})
    async def read_mail(
        self,
        from_session: str,
        limit: int = 50,
        mark_read: bool = True,
        order: Literal["old", "new"] = "old",
        labels: list[str] | None = None,
        weight: float = 1.0,
    ) -> Answer:
        """Read the mail.

        It may be
        of anybody.

        Args:
            from_session: Whose mail it is,
                by id.
            limit: At most so many.
            mark_read: Whether it counts as read.
            order: Which come first.
            labels: Only with these.
            weight: A number.
        """
        facts = {
            "owner": self.owner,
            "from": from_session,
            "limit": limit,
            "mark": mark_read,
            "order": order,
            "labels": labels,
            "weight": weight,
        }
        return Answer("done", facts)

    @tool(seconds=0.01)
    async def wait_for_ever(self) -> Answer:
        """Never end."""
        await asyncio.get_running_loop().create_future()
        return Answer("never")

    async def no_tool(self) -> Answer:
        """A method without the mark is none."""
        return Answer("no")


def box_tool(name: str = "read_mail", owner: str = "me") -> Tool:
    """One tool, bound to an owner."""
    return bind(Box(owner))[name]


async def refusal(**arguments: Any) -> str:
    """The one error for these arguments."""
    with pytest.raises(Invalid) as caught:
        await box_tool().call(arguments)
    assert caught.value.code == "invalid_arguments"
    return f"{caught.value.message} | {caught.value.hint}"


def test_a_parameter_without_a_description_is_refused_at_import() -> None:
    """Nobody can ship a tool whose parameter a model must guess; the error names both."""
    with pytest.raises(TypeError, match=r"bad.*parameter second has no description"):

        class Bad:
            @tool()
            async def bad(self, first: str, second: str) -> Answer:  # noqa: D417 - the point
                """Bad.

                Args:
                    first: Described.
                """
                return Answer(first + second)


def test_the_schema_is_what_an_endpoint_takes() -> None:
    """Names, descriptions, defaults and kinds come from the signature and the docstring."""
    schema = box_tool().schema()
    assert schema["type"] == "function"
    function = schema["function"]
    assert function["name"] == "read_mail"
    assert function["description"] == "Read the mail. It may be of anybody."
    parameters = function["parameters"]
    assert parameters["required"] == ["from_session"]
    assert parameters["additionalProperties"] is False
    properties = parameters["properties"]
    assert list(properties) == [
        "from_session", "limit", "mark_read", "order", "labels", "weight",
    ]  # fmt: skip
    assert properties["from_session"] == {
        "type": "string",
        "description": "Whose mail it is, by id.",
    }
    assert properties["limit"] == {
        "type": "integer",
        "default": 50,
        "description": "At most so many.",
    }
    assert properties["order"]["enum"] == ["old", "new"]
    assert properties["labels"]["type"] == "array"
    assert "title" not in json.dumps(schema)


def test_a_tool_without_parameters_has_an_empty_object() -> None:
    """Endpoints refuse a schema without properties."""
    parameters = box_tool("wait_for_ever").schema()["function"]["parameters"]
    assert parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_only_marked_methods_are_tools() -> None:
    """A helper of a toolbox cannot be called by a model."""
    assert list(bind(Box())) == ["read_mail", "wait_for_ever"]


async def test_every_parameter_has_its_camel_case_form_and_its_alias() -> None:
    """``from_session``, ``fromSession`` and a declared alias all reach the parameter."""
    for arguments in (
        {"from_session": "a", "mark_read": False},
        {"fromSession": "a", "markRead": False},
        {"fromSession": "a", "mark_as_read": False},
    ):
        facts = (await box_tool().call(arguments)).facts
        assert facts is not None
        assert (facts["from"], facts["mark"], facts["limit"]) == ("a", False, 50)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "5"},
        {"limit": 5.5},
        {"limit": True},
        {"mark_read": "true"},
        {"mark_read": 1},
        {"order": "sideways"},
        {"labels": "one"},
        {"labels": [1]},
        {"weight": "1"},
        {"from_session": None},
    ],
    ids=str,
)
async def test_kinds_are_strict(wrong: dict[str, Any]) -> None:
    """No text for a number, no number for a truth value: the wrong field is named."""
    (name,) = wrong
    assert name in await refusal(**{"from_session": "a", **wrong})


async def test_bounds_of_a_parameter_are_in_its_schema_and_kept() -> None:
    """What ``Annotated`` says of a parameter is told to the model, and holds."""

    class Bounded:
        @tool()
        async def wait(self, seconds: Annotated[int, Field(ge=1, le=60)] = 5) -> Answer:
            """Wait.

            Args:
                seconds: How long.
            """
            return Answer(str(seconds))

    wait = bind(Bounded())["wait"]
    seconds = wait.declaration.parameters["properties"]["seconds"]
    assert (seconds["minimum"], seconds["maximum"], seconds["default"]) == (1, 60, 5)
    assert (await wait.call({})).text == "5"
    with pytest.raises(Invalid, match="seconds"):
        await wait.call({"seconds": 61})


async def test_one_error_names_every_wrong_field() -> None:
    """Missing, unknown and wrong ones at once, with the nearest name and all that there are."""
    error = await refusal(limit="x", mark_raed=True)
    assert error.startswith("read_mail: ")
    assert "from_session: missing" in error
    assert "limit: " in error
    assert "mark_raed: unknown parameter, did you mean mark_read?" in error
    assert "parameters: from_session, limit, mark_read, order, labels, weight" in error


async def test_a_call_is_bounded_in_time() -> None:
    """A tool that does not end is stopped after the seconds that it declares."""
    with pytest.raises(TimedOut) as caught:
        await box_tool("wait_for_ever").call({})
    assert caught.value.code == "tool_timeout"
    assert "wait_for_ever" in caught.value.message


async def test_tools_are_bound_to_their_caller() -> None:
    """Two callers have the same declaration and each its own object."""
    one, two = box_tool(owner="one"), box_tool(owner="two")
    assert one.declaration is two.declaration
    answers = [(await each.call({"from_session": "a"})).facts for each in (one, two)]
    assert [facts and facts["owner"] for facts in answers] == ["one", "two"]


def test_an_answer_is_its_text_and_the_same_facts_as_json() -> None:
    """A model reads both; what is no Unicode is replaced and not fatal."""
    text, _, facts = Answer("done", {"id": 1}).render().partition("\n")
    assert (text, json.loads(facts)) == ("done", {"id": 1})
    assert Answer("file \udcff").render() == "file ?"


def test_what_is_not_permitted_is_neither_listed_nor_found() -> None:
    """Rights are asked for the list and again at the call: they may change in between."""
    denied: set[str] = set()
    tools = Toolset(bind(Box()), lambda name: name not in denied)
    assert tools.get("read_mail").name == "read_mail"
    denied.add("read_mail")
    assert tools.names() == ["wait_for_ever"]
    assert [each.name for each in tools.all()] == ["wait_for_ever"]
    with pytest.raises(Refused) as caught:
        tools.get("read_mail")
    assert caught.value.code == "tool_denied"


def test_an_unknown_tool_is_answered_with_the_nearest() -> None:
    """The error lists what there is."""
    with pytest.raises(Invalid) as caught:
        Toolset(bind(Box())).get("read_male")
    assert caught.value.code == "unknown_tool"
    assert "did you mean read_mail?" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '"a"', "nul", '{"a": "\\ud800"}', '{"a": 1} x', "[" * 100_000, "{'a': 1}"],
    ids=lambda text: text[:12],
)
def test_arguments_that_are_no_json_object_are_explained(text: str) -> None:
    """Never an exception of the parser's own: one error that says what to send."""
    with pytest.raises(ClawdError) as caught:
        parse_arguments(text)
    assert caught.value.code == "malformed_arguments"
    assert len(caught.value.message) < 2000


def test_no_arguments_are_an_empty_object() -> None:
    """Some models send nothing at all for a tool without parameters."""
    assert parse_arguments("") == parse_arguments("  ") == parse_arguments("{}") == {}
