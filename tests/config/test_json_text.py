"""JSON as people write it, with the place of every value and of every mistake."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.config.json_text import MAX_DEPTH, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.sampled_from([None, 1, 4]), st.booleans())
def test_it_reads_what_json_reads(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Whatever the standard library writes, it reads as the standard library does."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = read_json(text)
    assert document.mistakes == []
    assert document.value == json.loads(text)


@given(st.text("{}[]\",:'\\ \n/*-1.eNtruefalsnul\ud800", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    """Any text ends, without an exception; what JSON accepts has no mistakes."""
    document = read_json(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not _has_odd_parts(value, text):
        assert document.mistakes == []
        assert document.value == value


def _has_odd_parts(value: Any, text: str) -> bool:
    """Whether the standard library accepted what is refused here on purpose."""
    if isinstance(value, float) and not math.isfinite(value):
        return True
    if isinstance(value, dict):
        names = len(json.loads(text, object_pairs_hook=lambda pairs: pairs) or [])
        return True if names != len(value) else any(_has_odd_parts(v, "0") for v in value.values())
    if isinstance(value, list):
        return any(_has_odd_parts(inner, "0") for inner in value)
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def test_comments_and_trailing_commas_are_accepted() -> None:
    """Both kinds of comment, anywhere between tokens, and a comma before a closing bracket."""
    text = (
        '// top\n{ /* a */ "a" /* b */ : [1, 2, /* c\n */], // "x": 1\n "b": "// no /* */", }\n//'
    )
    document = read_json(text)
    assert document.mistakes == []
    assert document.value == {"a": [1, 2], "b": "// no /* */"}


def test_places_are_exact() -> None:
    """Line and column, from 1, of a member's key and of a list's item; columns are characters."""
    document = read_json('{\n  "ä": "é", "b": [\n    10,\n\t20\n  ]\r\n, "c": {"d": 1}}')
    assert document.place(("b",)) == (2, 13)
    assert document.place(("b", 1)) == (4, 2)
    assert document.place(("c", "d")) == (6, 9)
    assert document.place(("c", "missing", "deeper")) == (6, 3)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"a": 1 "b": 2}', 1, 9, "expected ',' or '}'"),
        ('{"a" 1}', 1, 6, "expected ':'"),
        ('{"a": }', 1, 7, "expected a value (found '}')"),
        ('{\n  "a": 1,\n  ,}', 3, 3, "expected a key in double quotes (found ',')"),
        ("{'a': 1}", 1, 2, "single quote"),
        ("{a: 1}", 1, 2, "expected a key in double quotes (found 'a')"),
        ('{"a": NaN}', 1, 7, "NaN is not a number"),
        ('{"a": -Infinity}', 1, 7, "-Infinity is not a number"),
        ('{"a": 1e999}', 1, 7, "too large"),
        ('{"a": 01}', 1, 7, "malformed number"),
        ('{"a": True}', 1, 7, "unknown word True"),
        ('{"a": "x\ty"}', 1, 9, "control character"),
        ('{"a": "\\q"}', 1, 8, "unknown escape"),
        ('{"a": "\\ud800"}', 1, 7, "surrogate"),
        ('{"a": "open\n}', 1, 7, "not closed with a double quote"),
        ('{"a": 1', 1, 1 + 7, "the file ends before '}' (opened at 1:1)"),
        ('{"a": [1}', 1, 9, "expected ']' (found '}')"),
        ("{} {}", 1, 4, "expected the end of the file"),
        ("// only\n", 2, 1, "expected a value (the file ends here)"),
        ("{ /* open", 1, 3, "comment is not closed"),
    ],
)
def test_a_mistake_has_its_place(text: str, line: int, column: int, words: str) -> None:
    """The first mistake stands where a person would put the cursor."""
    document = read_json(text)
    first = document.mistakes[0]
    assert words in first.message
    assert document.line_and_column(first.offset) == (line, column)


def test_several_mistakes_are_found_in_one_look() -> None:
    """After a mistake the reader goes on, and what follows is still understood."""
    document = read_json('{\'a\': 1, b: True,\n "c": NaN, "c": 01, "d": 5}')
    lines = [document.line_and_column(mistake.offset) for mistake in document.mistakes]
    assert lines == [(1, 2), (1, 10), (1, 13), (2, 7), (2, 12), (2, 17)]
    assert document.value["d"] == 5
    assert not document.broken


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Dora" "x", "description": "y", "model": "z"}',
        '{"a": {"b": 1, "c": 2]}, "d": {"e": {}}}',
        '{"a" "b", "c" "d", "e": 1, "": 2}',
        '{"a": "open, "b": "c", "d": "e"\n, "f": 1}',
        '{"a": [1, 2}, "b": 3, "c": [}]}',
        '{,,,, "a": 1}',
        '{"a": \'open, "b": 1}',
    ],
)
def test_one_typo_is_one_mistake(text: str) -> None:
    """Nothing behind it is accused, which may be right; a place before it is told as well."""
    document = read_json(text)
    assert len(document.mistakes) == 1
    assert document.broken
    before = read_json('{"z": True, ' + text.removeprefix("{"))
    assert [m.message for m in before.mistakes] == [
        "unknown word True",
        document.mistakes[0].message,
    ]


def test_a_duplicate_key_names_both_lines() -> None:
    """Both lines and the object are named, so that one of them can be removed."""
    document = read_json('{"sessions": {\n"a": {},\n"b": {},\n"a": {}}}')
    (mistake,) = document.mistakes
    assert mistake.message == 'key "a" appears twice in sessions (lines 2 and 4)'


@pytest.mark.parametrize("unit", ["[", '{"a":', '[{"b":'])
def test_depth_is_limited(unit: str) -> None:
    """Deep nesting is one mistake, found quickly and without recursion."""
    document = read_json(unit * 100_000)
    assert "deeper than 64" in document.mistakes[0].message
    closed = read_json('{"a": ' + "[" * 200 + "]" * 200 + ', "b": 1}')
    assert len(closed.mistakes) == 1
    assert closed.value["b"] == 1
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH).mistakes == []


def test_a_mistake_never_repeats_what_may_be_a_key() -> None:
    """A key that was pasted without quotes shows at most its first character."""
    for text in ('{"apiKey": sk-canary}', '{"apiKey": "sk-canary\n}', '{"apiKey" "sk-canary"}',
                 "{'apiKey': 'sk-canary'}", '{"apiKey": "sk-\tcanary"}'):  # fmt: skip
        document = read_json(text)
        assert document.mistakes
        assert not any("canary" in mistake.message + mistake.hint for mistake in document.mistakes)


def test_a_large_file_is_read_quickly() -> None:
    """42 KiB take a few milliseconds; the bound leaves room for a busy machine."""
    entries = ",\n".join(
        f'  "s{number}": {{"name": "n \\" {number}", "a2a": {{"enabled": true}}}} // c'
        for number in range(700)
    )
    text = "{" + entries.replace("// c,", "/* c */,") + "\n}"
    assert len(text) > 42 * 1024
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert not read_json(text).mistakes
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
