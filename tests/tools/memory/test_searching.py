"""What a search finds, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawd.tools.memory import searching

if TYPE_CHECKING:
    from tests.tools.memory.conftest import Desk


async def test_words_in_any_form(desk: Desk) -> None:
    """Case, accents and English endings do not matter; common words do not count."""
    desk.write("cafe.md", "Meetings happen at the Café Zürich.")
    desk.write("other.md", "What is the weather at all?")
    for query in ("cafe", "CAFÉ", "zurich", "meeting", "where is the café?"):
        assert await desk.ids(query) == ["cafe"], query


async def test_a_title_says_more_than_a_text(desk: Desk) -> None:
    """Then a tag."""
    desk.write("a.md", "---\nupdated: 2026-01-01\n---\nsome words on an invoice among others")
    desk.write("b.md", "---\ntitle: Invoice\nupdated: 2026-01-01\n---\nsome words among others")
    desk.write("c.md", "---\ntags: [invoice]\nupdated: 2026-01-01\n---\nsome words and others")
    assert (await desk.ids("invoice"))[0] == "b"
    assert set(await desk.ids("invoice")) == {"a", "b", "c"}


async def test_all_words_before_some(desk: Desk) -> None:
    """A note with every word comes first; those with some are found too."""
    desk.write("one.md", "Peter likes chess " + "and he plays it often " * 5)
    desk.write("two.md", "Peter")
    desk.write("three.md", "chess")
    assert (await desk.ids("Peter chess"))[0] == "one"
    assert set(await desk.ids("Peter chess")) == {"one", "two", "three"}


async def test_the_newer_of_two_that_say_as_much(desk: Desk) -> None:
    """Recency counts a little, and never more than what is said."""
    old = "---\ncreated: 2019-05-01\n---\n"
    desk.write("old.md", old + "The door code is 1111")
    desk.write("new.md", "The door code is 2222")
    assert await desk.ids("door code") == ["new", "old"]
    desk.write("better.md", old + "# Garage\n\nThe garage")
    desk.write("worse.md", "a long note on many things, and on the garage " + "and more " * 30)
    assert (await desk.ids("garage"))[0] == "better"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("明日は京都駅の近くの喫茶店で会う", "京都"),
        ("明日は京都駅の近くの喫茶店で会う", "喫茶店"),
        ("明日は京都駅の近くの喫茶店で会う", "京都の喫茶店"),
        ("我喜欢喝绿茶", "绿茶"),
        ("我喜欢喝绿茶", "茶"),
        ("我喜欢喝绿茶", "我"),
        ("ฉันชอบดื่มชาเขียว", "ชาเขียว"),
        ("ﾆﾎﾝ", "ニホン"),
        ("회의는 서울역에서", "서울"),
        ("Treffen in 東京 am Freitag", "東京 Freitag"),
    ],
)
async def test_scripts_without_spaces(desk: Desk, text: str, query: str) -> None:
    """A word inside a run of characters is found, also one of one or two."""
    desk.write("it.md", text)
    desk.write("other.md", "北海道 and something else 大阪")
    assert await desk.ids(query) == ["it"]


async def test_parts_of_words(desk: Desk) -> None:
    """Where no note has the word itself: words that begin so, then any that hold it."""
    desk.write("de.md", "Die Haftpflichtversicherung läuft bis Mai.")
    desk.write("id.md", "order ab12cd34ef")
    assert await desk.ids("haftpflicht") == ["de"]
    assert await desk.ids("versicherung") == ["de"]
    assert await desk.ids("12cd34") == ["id"]


async def test_words_that_everybody_has_find_the_newest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They tell nothing, and cost no more for it; a rare one beside them decides."""
    monkeypatch.setattr(searching, "COMMON_ROWS", 5)
    for number in range(20):
        await desk.save(f"project note number {number}" + (" heron" if number == 3 else ""))
    assert (await desk.ids("project note", limit=2)) == [
        "project-note-number-19", "project-note-number-18",
    ]  # fmt: skip
    assert await desk.ids("project heron") == ["project-note-number-3-heron"]


async def test_an_id_reads_the_note_whole(desk: Desk) -> None:
    """A long note is shown in part, around the words, and whole by its id."""
    text = "begin\n" + "filler line\n" * 400 + "the heron sleeps\n" + "filler line\n" * 400 + "end"
    note = await desk.save(text, title="Birds")
    part = (await desk.found("heron"))[0]
    assert "the heron sleeps" in part["text"]
    assert part["cut"]
    assert part["line"] == 402 + 6
    assert len(part["text"]) < 1600
    for name in (note, f"memory/{note}.md"):
        whole = (await desk.found(name))[0]
        assert whole["text"] == text
        assert not whole["cut"]


@pytest.mark.parametrize(
    "query",
    [
        '"', "'", "AND", "NOT tea", "tea*", "title:tea", "tea NEAR coffee", "(tea", "tea)", "^tea",
        "-tea", "{title}: tea", "\\", "%", "_", "%_%", ";", "--", "tea\0", "\ud800", "🍵",
        "a" * 9000, "* OR *", '" OR "', "x" * 100 + "茶" * 3000,
    ],
)  # fmt: skip
async def test_no_query_is_an_expression(desk: Desk, query: str) -> None:
    """Whatever stands in it is looked for, and nothing breaks."""
    desk.write("tea.md", "green tea")
    await desk.found(query)
    await desk.recalled(query)
    assert desk.notices() == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=st.text(max_size=80), text=st.text(max_size=200))
async def test_any_text_and_any_query(desk: Desk, query: str, text: str) -> None:
    """Nothing that can be written makes a search fail."""
    desk.write("any.md", text.encode(errors="replace").decode())
    if query.strip():
        await desk.found(query)
    await desk.recalled(query)
    assert desk.notices() == []


async def test_limits(desk: Desk) -> None:
    """Between one and fifty notes, and a query."""
    for number in range(60):
        desk.write(f"{number}.md", f"tea {number}")
    assert len(await desk.ids("tea", limit=-3)) == 1
    assert len(await desk.ids("tea", limit=1000)) == 50
    assert await desk.refused("memory_search", query="  ") == "empty_query"
