"""Visibility: one function decides it, for every pair and every path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.comms.directory import Directory, Entry
from clawd.errors import ClawdError, NotFound
from clawd.ids import OPERATOR

entries = st.lists(
    st.builds(
        Entry,
        st.sampled_from([f"s{n}" for n in range(6)]),
        st.just("Name"),
        organization=st.sampled_from(["x", "y"]),
        enabled=st.booleans(),
        a2a=st.booleans(),
        hidden=st.booleans(),
    ),
    unique_by=lambda entry: entry.id,
    min_size=2,
)


def directory(*listed: Entry) -> Directory:
    """A directory of these."""
    made = Directory()
    for entry in listed:
        made.put(entry)
    return made


@given(entries)
def test_what_is_found_can_be_reached_and_nothing_else_is_named(listed: list[Entry]) -> None:
    """Found: same organization, both with A2A, enabled, not hidden. No error names another."""
    house = directory(*listed)
    for viewer in listed:
        found = {entry.id for entry in house.find(viewer.id)}
        assert found == {
            e.id
            for e in listed
            if e.id != viewer.id
            and viewer.a2a
            and (e.enabled, e.a2a, e.hidden) == (True, True, False)
            and e.organization == viewer.organization
        }
        for target in (*found,):
            assert house.reach(viewer.id, target).id == target
        unknown = house.unknown(viewer.id, "s9")
        assert {e.id for e in listed if e.id in unknown.hint} == found
    assert {e.id for e in house.find(OPERATOR)} == {e.id for e in listed}


@given(entries)
def test_another_organization_is_like_nobody(listed: list[Entry]) -> None:
    """The answer for one of another organization is, to the letter, that for an unknown id."""
    house = directory(*listed)
    for viewer in listed:
        for other in listed:
            if other.organization == viewer.organization:
                continue
            house.remove(other.id)
            with pytest.raises(NotFound) as unknown:
                house.reach(viewer.id, other.id)
            house.put(other)
            with pytest.raises(NotFound) as foreign:
                house.reach(viewer.id, other.id)
            assert foreign.value.as_json() == unknown.value.as_json()


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("hidden", ""),
        ("off", "session_disabled"),
        ("apart", "a2a_disabled"),
        ("me", "self_send"),
        ("ghost", "unknown_session"),
        ("ME", "unknown_session"),
        ("\x1b[31m" + "x" * 300, "unknown_session"),
    ],
)
def test_why_a_target_is_not_reached(target: str, code: str) -> None:
    """Each reason has its own code; hostile ids are shown harmless and short."""
    house = directory(
        Entry("me", "Me"),
        Entry("hidden", "H", hidden=True),
        Entry("off", "O", enabled=False),
        Entry("apart", "A", a2a=False),
    )
    if not code:
        assert house.reach("me", target).id == target
        return
    with pytest.raises(ClawdError) as refused:
        house.reach("me", target)
    assert refused.value.code == code
    assert "\x1b" not in str(refused.value.as_json())
    assert len(refused.value.message) < 200


def test_the_operator_reaches_everyone_that_runs() -> None:
    """For the human there are no organizations and no hidden sessions; disabled ones do not run."""
    house = directory(
        Entry("a", "A", a2a=False), Entry("b", "B", organization="x", hidden=True), Entry("c", "C")
    )
    assert [house.reach(OPERATOR, name).id for name in "abc"] == ["a", "b", "c"]
    with pytest.raises(ClawdError, match="the operator is you"):
        house.reach(OPERATOR, OPERATOR)


def test_capabilities_and_words() -> None:
    """A capability matches whole or by its beginning with ``*``; every word of a query must be."""
    house = directory(
        Entry("me", "Me"),
        Entry("one", "Anna", "Reads long papers", capabilities=("nlp_sum", "Search")),
        Entry("two", "Bert", "Draws", capabilities=("nlp",)),
    )

    def ids(**filters: str) -> list[str]:
        return [entry.id for entry in house.find("me", **filters)]

    assert ids(capability="nlp_*") == ["one"]
    assert ids(capability="nlp*") == ["one", "two"]
    assert ids(capability="search") == ["one"]
    assert ids(capability="nl") == []
    assert ids(query="LONG anna") == ["one"]
    assert ids(query="nlp") == ["one", "two"]
    assert ids(capability="nlp", query="reads") == []
