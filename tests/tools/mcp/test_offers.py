"""What becomes of the tools that a server lists: offered, or refused with a reason. B41, T17."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.config.mcp import McpServer
from clawd.errors import Invalid
from clawd.tools.mcp.arguments import check_arguments
from clawd.tools.mcp.limits import FULL_NAME, MOST_OFFERED, OFFERED_BYTES
from clawd.tools.mcp.naming import full_name, named
from clawd.tools.mcp.offers import Listed, Offer, offers
from clawd.tools.mcp.schemas import Unusable, usable
from clawd.tools.mcp.unseen import with_unseen_shown, without_unseen

EMPTY: dict[str, Any] = {"type": "object"}
PLAIN = McpServer(command="x")


def offered(*listed: Listed, settings: McpServer = PLAIN) -> list[Offer]:
    """What becomes of these tools of a server that was never seen."""
    return offers("srv", settings, listed, None)


def one(name: str, description: str = "", parameters: dict[str, Any] = EMPTY) -> Offer:
    """What becomes of one tool."""
    [offer] = offered(Listed(name, description, parameters))
    return offer


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("read_file", "srv__read_file"),
        ("get-sum", "srv__get-sum"),
        ("two words", "srv__two_words"),
        ("a/b.c:d", "srv__a_b_c_d"),
        ("__proto__", "srv____proto__"),
        ("größe\x1b[31m", "srv__gr__e__31m"),
        ("x" * 128, "srv__" + "x" * 52 + "_" + "e72b29"),
    ],
)
def test_names_are_of_what_endpoints_take(name: str, called: str) -> None:
    """Odd characters become '_', the end of a long name a digest."""
    assert len(full_name("srv", name)) <= FULL_NAME
    if len(name) < 100:
        assert one(name).name == called
    else:
        assert one(name).name.startswith(called[:50])


@given(st.lists(st.text(max_size=140), max_size=30), st.text(alphabet="ab-", min_size=1))
def test_no_two_tools_share_a_name(tools: list[str], server: str) -> None:
    """Whatever they are called, and in whatever order they come."""
    found = named(server, tools)
    assert len(set(found.values())) == len(found)
    assert found == named(server, [*reversed(tools)])
    for name in found.values():
        assert name.isascii()
        assert name.replace("_", "").replace("-", "").isalnum() or set(name) <= {"_", "-"}
        assert 0 < len(name) <= FULL_NAME


def test_a_tool_cannot_take_the_name_of_another() -> None:
    """The one whose name needs no change has it; a name that is listed twice counts once."""
    listed = [Listed(name, "", EMPTY) for name in ("a b", "a_b", "a_b", "", "n" * 500)]
    states = [(offer.shown.tool[:3], offer.state, offer.reason) for offer in offered(*listed)]
    assert states == [
        ("a b", "refused", "another tool of the server has the same name here"),
        ("a_b", "offered", ""),
        ("a_b", "refused", "the server lists it twice"),
        ("", "refused", "its name has 0 characters, of 1 to 128"),
        ("nnn", "refused", "its name has 500 characters, of 1 to 128"),
    ]


UNSEEN = "a\x1b[31mb\u202ec\u200bd\U000e0041\U000e0042e\ufefff"


def test_what_nobody_sees_is_taken_out_of_descriptions() -> None:
    """A model reads what a human would; the human is shown that there was more."""
    parameters = {
        "type": "object",
        "properties": {"p": {"type": "string", "description": UNSEEN, "title": UNSEEN}},
    }
    offer = one("t", UNSEEN, parameters)
    assert offer.declaration is not None
    assert offer.declaration.description == "a[31mbcdef"
    assert offer.declaration.parameters["properties"]["p"]["description"] == "a[31mbcdef"
    assert with_unseen_shown(UNSEEN) == (
        "a⟨U+001B⟩[31mb⟨U+202E⟩c⟨U+200B⟩d⟨U+E0041⟩⟨U+E0042⟩e⟨U+FEFF⟩f"
    )


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    """Line feeds and tabs stay."""
    left = without_unseen(text)
    assert without_unseen(left) == left
    assert all(c in "\n\t" or not 0 <= ord(c) < 32 for c in left)


def test_a_long_description_is_cut() -> None:
    """At 4,096 characters, with a mark."""
    offer = one("t", "x" * 100_000)
    assert offer.declaration is not None
    assert len(offer.declaration.description) < 4200
    assert offer.declaration.description.endswith("… [cut]")


def _nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


RING = {
    "type": "object",
    "properties": {"p": {"$ref": "#/$defs/a"}},
    "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, 'no "object"'),
        ({}, 'no "object"'),
        (RING, "refers to itself"),
        ({"type": "object", "$ref": "#"}, "refers to itself"),
        ({"type": "object", "properties": {"p": {"$ref": "#/$defs/no"}}}, "is not there"),
        ({"type": "object", "properties": {"p": {"$ref": "http://h/s"}}}, "outside of themselves"),
        ({"type": "object", "properties": {"p": {"$ref": "file:///etc"}}}, "outside of themselves"),
        (_nested(40), "more than 32 deep"),
        ({"type": "object", "description": "x" * 70_000}, "take 70034 bytes"),
        ({"type": "object", "properties": {"": {}}}, "no name for a parameter"),
        ({"type": "object", "properties": {"p" * 65: {}}}, "no name for a parameter"),
        ({"type": "object", "properties": {"a\nb": {}}}, "no name for a parameter"),
        ({"type": "object", "properties": {"a\u200b": {}}}, "no name for a parameter"),
        (
            {"type": "object", "properties": {"p": {"enum": ["a\U000e0041"]}}},
            "characters that nobody sees",
        ),
        ({"type": "object", "a\u202e": 1}, "characters that nobody sees"),
    ],
)
def test_parameters_that_cannot_be_offered_are_refused_with_a_reason(
    schema: dict[str, Any], words: str
) -> None:
    """One tool is refused, not its server."""
    offer = one("t", "", schema)
    assert offer.state == "refused"
    assert words in offer.reason
    assert offer.reason.isprintable()


def test_other_parameters_are_passed_through() -> None:
    """References to a tree and all, as the server gave them; only the dialect is left out."""
    tree = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            }
        },
        "additionalProperties": False,
    }
    assert usable(tree) == {key: value for key, value in tree.items() if key != "$schema"}
    assert usable({"type": "object"}) == {"type": "object", "properties": {}}


def test_ten_thousand_tools_are_bounded() -> None:
    """The first 128 are offered, as far as they fit; the rest is refused with the reason."""
    found = offered(*(Listed(f"t{number}", "d", EMPTY) for number in range(10_000)))
    assert sum(offer.state == "offered" for offer in found) == MOST_OFFERED
    assert found[-1].reason == f"the server has more than {MOST_OFFERED} tools"
    assert len(found) <= 1000


def test_declarations_of_a_server_are_bounded_together() -> None:
    """A prompt has room for other things."""
    large = {"type": "object", "description": "x" * 60_000}
    found = offered(*(Listed(f"t{number}", "d", large) for number in range(20)))
    assert sum(offer.state == "offered" for offer in found) == OFFERED_BYTES // 60_000
    assert "take more than" in found[-1].reason


def test_allow_and_deny_of_a_server() -> None:
    """Patterns over its own names; what is left out is shown as such."""
    settings = McpServer(command="x", allow=("read_*", "x"), deny=("*_secret",))
    listed = [Listed(name, "", EMPTY) for name in ("read_a", "read_secret", "write_a", "x")]
    assert [offer.state for offer in offered(*listed, settings=settings)] == [
        *("offered", "left out", "left out", "offered"),
    ]


@pytest.mark.parametrize(
    ("schema", "value", "wrong"),
    [
        ({"type": "string"}, 1, True),
        ({"type": "string"}, "1", False),
        ({"type": "number"}, True, True),
        ({"type": "integer"}, 2.0, False),
        ({"type": "integer"}, 2.5, True),
        ({"type": ["string", "null"]}, None, False),
        ({"type": ["string", "null"]}, 1, True),
        ({"type": "array"}, {}, True),
        ({"type": "no such type"}, {}, False),
        ({"type": 7}, {}, False),
        ({"enum": [1, "a"]}, "a", False),
        ({"enum": [1, "a"]}, "b", True),
        ({"pattern": "(a+)+$"}, "a" * 100_000 + "!", False),
        ({"$ref": "#/$defs/x"}, {}, False),
        (True, 1, False),
        ({"anyOf": [{"type": "string"}]}, 1, False),
    ],
)
def test_a_first_look_at_arguments(schema: Any, value: Any, wrong: bool) -> None:
    """Kinds and choices alone; no pattern of a server is ever matched here."""
    parameters = {"type": "object", "properties": {"p": schema}}
    if wrong:
        with pytest.raises(Invalid, match="p: must be"):
            check_arguments("t", parameters, {"p": value})
    else:
        check_arguments("t", parameters, {"p": value})


def test_a_schema_of_nonsense_is_no_crash() -> None:
    """Whatever stands in the place of lists and objects."""
    for parameters in ({"properties": 1, "required": 2}, {"required": [1, {}]}, {}):
        check_arguments("t", parameters, {"a": 1})


def test_unusable_is_a_reason() -> None:
    """A part of a sentence."""
    with pytest.raises(Unusable, match="cannot be written as JSON"):
        usable({"type": "object", "x": float})
