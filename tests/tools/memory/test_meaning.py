"""Vectors: notes found by what they mean, and endpoints that fail."""

from __future__ import annotations

import random
from array import array
from typing import TYPE_CHECKING

import pytest

from clawd.testing.embeddings import Embeddings
from clawd.tools.memory import meaning
from clawd.tools.memory.codes import Codes, unit

if TYPE_CHECKING:
    from tests.tools.memory.conftest import Desk


@pytest.fixture
def embeddings(desk: Desk) -> Embeddings:
    """The endpoint of the session's provider."""
    made = desk.embeddings = Embeddings()
    made.same = {"automobile": "car", "vehicle": "car"}
    return made


async def test_a_note_is_found_by_what_it_means(desk: Desk, embeddings: Embeddings) -> None:
    """No word of the question stands in it; what has both comes before it."""
    await desk.save("automobile", title="automobile")
    await desk.save("weather report of the north", title="weather")
    await desk.settled()
    found = await desk.found("vehicle")
    assert found[0]["id"] == "automobile"
    assert found[0]["by"] == ["meaning"]
    await desk.save("a vehicle", title="of mine")
    await desk.settled()
    found = await desk.found("vehicle")
    assert [note["id"] for note in found[:2]] == ["of-mine", "automobile"]
    assert found[0]["by"] == ["words", "meaning"]


async def test_vectors_are_made_once(desk: Desk, embeddings: Embeddings) -> None:
    """Not again for a text that is known, after a restart, a change of a name, a new index."""
    desk.write("tea.md", "green tea")
    await desk.found("x")
    await desk.settled()
    assert embeddings.texts.count("tea\ngreen tea") == 1
    await desk.restart()
    (desk.folder / "tea.md").rename(desk.folder / "moved.md")
    desk.write("moved.md", "---\ntitle: tea\n---\ngreen tea")
    await desk.found("y")
    await desk.kit.books.reindex(desk.bench())
    await desk.settled()
    assert embeddings.texts.count("tea\ngreen tea") == 1
    before = len(embeddings.asked)
    await desk.found("y")
    await desk.settled()
    assert len(embeddings.asked) == before, "a question that was asked before is known"


async def test_many_notes_are_sent_in_batches(desk: Desk, embeddings: Embeddings) -> None:
    """In the background, each text once; a long one is cut."""
    for number in range(150):
        desk.write(f"{number}.md", f"note {number}")
    desk.write("long.md", "long " * 20_000)
    await desk.found("note")
    await desk.settled()
    assert [len(body["input"]) for body in embeddings.asked] == [1, 64, 64, 23]
    assert max(map(len, embeddings.texts)) < 9000


async def test_an_endpoint_that_fails_fails_nothing(desk: Desk, embeddings: Embeddings) -> None:
    """Words find on their own, it is told once, and the endpoint is left alone for a while."""
    embeddings.failing = 500
    await desk.save("green tea", title="Tea")
    await desk.settled()
    answer = await desk.do("memory_search", query="tea")
    assert answer.facts is not None
    assert [note["id"] for note in answer.facts["notes"]] == ["tea"]
    assert "by words alone" in answer.text
    await desk.found("coffee")
    await desk.settled()
    assert desk.notices() == ["embeddings_failed"]
    assert len(embeddings.asked) == 1


async def test_an_endpoint_that_works_again(
    desk: Desk, embeddings: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is made up for; a fault that comes again is told again."""
    monkeypatch.setattr(meaning, "FIRST_PAUSE", 1e-9)
    embeddings.failing = 500
    await desk.save("green tea", title="Tea")
    await desk.settled()
    embeddings.failing = 0
    assert "by words alone" not in (await desk.do("memory_search", query="tea")).text
    await desk.settled()
    assert embeddings.texts.count("Tea\ngreen tea") == 2
    assert desk.notices() == ["embeddings_failed"]
    embeddings.failing = 500
    await desk.found("coffee")
    assert desk.notices() == ["embeddings_failed"] * 2


@pytest.mark.parametrize("vector", [[0.0] * 8, [1e300] * 8, [float("inf")] * 8, [0.5]])
async def test_vectors_of_no_use(desk: Desk, embeddings: Embeddings, vector: list[float]) -> None:
    """All zero, too large, of another size: the note is found by its words."""
    await desk.save("green tea", title="Tea")
    await desk.settled()
    embeddings.vector = lambda _: vector
    await desk.save("black tea", title="Black")
    await desk.settled()
    assert set(await desk.ids("tea")) == {"tea", "black"}


async def test_other_models_other_vectors(desk: Desk, embeddings: Embeddings) -> None:
    """Vectors of one model are never compared with those of another."""
    await desk.save("automobile")
    await desk.settled()
    desk.model = "other"
    embeddings.vector = lambda text: [*embeddings.of(text), 1.0]
    await desk.ids("vehicle")
    await desk.settled()
    assert await desk.ids("vehicle") == ["automobile"]


def test_the_bits_find_what_the_numbers_would() -> None:
    """Of 2,000 vectors in groups, the ten nearest are the same but for a few."""
    chance = random.Random(7)
    middles = [[chance.gauss(0, 1) for _ in range(256)] for _ in range(50)]
    vectors = [
        unit([m + chance.gauss(0, 0.8) for m in chance.choice(middles)]) for _ in range(2000)
    ]
    kept = {row: vector for row, vector in enumerate(vectors) if vector is not None}

    def run(sql: str, values: object) -> list[tuple[object, ...]]:
        if "row IN" in sql:
            return [(row, kept[row].tobytes()) for row in list(values)[1:]]  # type: ignore[call-overload]
        return [(row, Codes.code(vector)) for row, vector in kept.items()]

    codes = Codes(run)
    hits = 0
    for _ in range(20):
        wanted = unit([m + chance.gauss(0, 0.8) for m in chance.choice(middles)])
        assert wanted is not None
        near = [row for row, _ in codes.nearest("m", wanted, 10)]
        hits += len({*near} & {*_exactly(kept, wanted)})
    assert hits >= 190


def _exactly(kept: dict[int, array[float]], wanted: array[float]) -> list[int]:
    def cosine(row: int) -> float:
        return sum(a * b for a, b in zip(kept[row], wanted, strict=True))

    return sorted(kept, key=cosine, reverse=True)[:10]
