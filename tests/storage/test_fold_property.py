"""The log against a dictionary: any course of appends, crashes and compactions."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer


class Note(msgspec.Struct, frozen=True):
    """A record."""

    id: str
    text: str


ids = st.sampled_from(["a", "b", "c", "ä", "\u2028", "d e", '"', "{}"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.builds(Note, ids, texts), max_size=4)),
        st.tuples(st.just("compact"), st.sets(ids)),
        st.tuples(st.just("tear"), st.binary(min_size=1, max_size=9).map(lambda b: b"{" + b)),
        st.tuples(st.just("foreign"), st.sampled_from([b"\n", b"\r\n", b" \n", b"rubbish\n"])),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_log_equals_a_dictionary(course: list[tuple[str, object]]) -> None:
    """After any course the log holds what a dictionary would, in the same order."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(follow(Path(folder) / "notes.jsonl", course))


async def follow(path: Path, course: list[tuple[str, object]]) -> None:
    """Do each step to both, and compare."""
    writer = Writer(open_files=1)
    writer.start()
    log = Log(path, Note, writer)
    model: dict[str, Note] = {}
    for step, what in course:
        match step, what:
            case "append", list(notes):
                await log.append(*notes)
                model |= {note.id: note for note in notes}
            case "compact", set(kept):
                await log.compact(kept.__contains__)
                model = {name: note for name, note in model.items() if name in kept}
            case _, bytes(data):
                with path.open("ab") as file:
                    file.write(data)
            case _:
                await writer.close()
                writer = Writer(open_files=1)
                writer.start()
                log = Log(path, Note, writer)
                assert list(log.load().records.items()) == list(model.items())
    loaded = log.load()
    assert list(loaded.records.items()) == list(model.items())
    again = log.load()
    assert (again.problems, again.records) == ([], loaded.records)
    await writer.close()
