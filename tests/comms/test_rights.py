"""Rights per pair: the first matching rule of the target's list, else the default."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.comms.directory import Directory, Entry
from clawd.comms.rights import RIGHTS, decide, may
from clawd.config.schema import AccessRule
from clawd.errors import ClawdError
from clawd.ids import OPERATOR


def rules(*written: dict[str, Any]) -> tuple[AccessRule, ...]:
    """Entries of ``a2a.access``."""
    return tuple(AccessRule.model_validate(rule) for rule in written)


IDS = ["a", "b", "team-1", "team-2"]
access = st.lists(
    st.builds(
        AccessRule,
        from_=st.sampled_from(["*", "a", "b", "team-*", "?"]),
        organization=st.sampled_from([None, "*", "x", "y"]),
        rights=st.lists(st.sampled_from(RIGHTS), min_size=1, unique=True).map(tuple),
        allow=st.booleans(),
    ),
    max_size=3,
)
entries = st.lists(
    st.builds(
        Entry,
        st.sampled_from(IDS),
        st.just("Name"),
        organization=st.sampled_from(["x", "y"]),
        enabled=st.booleans(),
        a2a=st.booleans(),
        hidden=st.booleans(),
        access=access,
        creators=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    ),
    unique_by=lambda entry: entry.id,
    min_size=2,
)


def house_of(listed: list[Entry]) -> Directory:
    """A directory of these."""
    made = Directory()
    for entry in listed:
        made.put(entry)
    return made


def answer(ask: Any, *arguments: Any) -> str:
    """What somebody is told, as JSON."""
    try:
        return f"ok {ask(*arguments).id}"
    except ClawdError as error:
        return json.dumps(error.as_json())


def test_the_first_match_decides() -> None:
    """A rule counts for the rights it names, for who it names; what none names is the default."""
    target = Entry(
        "t",
        "T",
        access=rules(
            {"from": "a", "rights": ["send"], "allow": False},
            {"from": "a", "allow": True},
            {"from": "*", "rights": ["wake"], "allow": False},
            {"from": "x-*", "organization": "other", "rights": ["send"], "allow": True},
        ),
    )
    a, b = Entry("a", "A"), Entry("b", "B")
    across, stranger = Entry("x-1", "X", organization="other"), Entry("y", "Y", organization="o2")
    assert (decide(a, target, "send").allowed, decide(a, target, "send").rule) == (False, 0)
    assert (decide(a, target, "wake").allowed, decide(a, target, "wake").rule) == (True, 1)
    assert (decide(b, target, "wake").allowed, decide(b, target, "wake").rule) == (False, 2)
    assert (decide(b, target, "send").allowed, decide(b, target, "send").rule) == (True, None)
    assert (decide(across, target, "send").allowed, decide(across, target, "send").rule) == (
        True,
        3,
    )
    assert not may(across, target, "read")
    assert not any(may(stranger, target, right) for right in RIGHTS)


def test_a_rule_without_organization_is_about_its_own() -> None:
    """Nothing across organizations unless a rule names the other one."""
    everyone = Entry("t", "T", access=rules({"from": "*", "allow": True}))
    assert not may(Entry("a", "A", organization="other"), everyone, "send")
    open_to_all = Entry("t", "T", access=rules({"organization": "*", "allow": True}))
    assert may(Entry("a", "A", organization="other"), open_to_all, "send")


def test_no_escape_by_a_child() -> None:
    """M17: who made it must be allowed too; what its maker may, it may not for that alone."""
    closed = Entry("t", "T", access=rules({"from": "boss", "allow": False}))
    chosen = Entry("u", "U", access=rules({"from": "boss", "allow": True}, {"allow": False}))
    child = Entry("child", "C", creators=("boss",))
    grandchild = Entry("grandchild", "G", creators=("child", "boss"))
    for session in (child, grandchild):
        assert not may(session, closed, "send")
        assert decide(session, closed, "send").asked == "boss"
        assert not may(session, chosen, "send")


@given(entries)
def test_who_may_not_and_sees_nothing_is_told_of_nobody(listed: list[Entry]) -> None:
    """For every right: a session that is denied and not seen answers as one that is not there."""
    house = house_of(listed)
    for viewer in listed:
        for other in listed:
            if other.id == viewer.id or house.visible(viewer.id, other):
                continue
            for ask, right in (
                (lambda v, t: house.reach(v, t, "send"), "send"),
                (lambda v, t: house.reach(v, t, "delegate"), "delegate"),
                (house.readable, "read"),
            ):
                if right != "read" and house.may(viewer.id, other, right):  # type: ignore[arg-type]
                    continue
                denied = answer(ask, viewer.id, other.id)
                house.remove(other.id)
                assert denied == answer(ask, viewer.id, other.id)
                house.put(other)


@given(entries)
def test_what_is_named_is_what_may_be_listed(listed: list[Entry]) -> None:
    """No list, suggestion or refusal names a session without the right to list it."""
    house = house_of(listed)
    for viewer in listed:
        seen = {entry.id for entry in house.find(viewer.id)}
        for entry in house.find(viewer.id):
            assert house.may(viewer.id, entry, "list")
        hint = house.unknown(viewer.id, "team").hint
        for other in listed:
            assert (f"'{other.id}'" in hint or f"{other.id}," in f"{hint},") <= (other.id in seen)
        assert {entry.id for entry in house.find(OPERATOR)} == {entry.id for entry in listed}


@pytest.mark.parametrize("right", ["send", "delegate"])
def test_a_session_in_sight_refuses_openly(right: Any) -> None:
    """Who is listed is known to be there: the refusal names the right and what to do."""
    house = house_of(
        [Entry("me", "M"), Entry("t", "T", access=rules({"rights": [right], "allow": False}))]
    )
    with pytest.raises(ClawdError) as refused:
        house.reach("me", "t", right)
    assert refused.value.code == "access_denied"
    assert refused.value.facts == {"right": right}


def test_a_chain_names_whom_one_may_know() -> None:
    """Comms, visibility: error texts that go through others name no session of another house."""
    house = house_of(
        [Entry("me", "M"), Entry("near", "N", hidden=True), Entry("far", "F", organization="x")]
    )
    names = ("operator", "far", "near", "me")
    hidden = "operator -> (one that you do not know) -> near -> me"
    assert house.chain("me", names) == hidden
    assert house.chain(OPERATOR, names) == "operator -> far -> near -> me"
