"""Heads of skills: what the format's own tool accepts is accepted, and nothing else without a word.

``agentskills validate`` of ``skills-ref`` is the oracle. Where it refuses and we let a skill
pass, that is said (``loose``); where it accepts, we have nothing to say.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skills_ref import validate  # type: ignore[import-untyped]

from clawd.tools.skills.header import BrokenHeader, Header, read_header, split

FOLDER = "pdf-forms"
FINE = "name: pdf-forms\ndescription: Fill in PDF forms."
HEADS = {
    "the least": FINE,
    "all fields": FINE + "\nlicense: MIT\ncompatibility: needs poppler\nallowed-tools: Bash Read"
    "\nmetadata:\n  author: someone\n  version: '1.0'",
    "numbers and yes are text": FINE + "\nmetadata:\n  version: 1.0\n  beta: yes",
    "quoted": "name: 'pdf-forms'\ndescription: \"Use when: a form is to be filled in\"",
    "folded": "name: pdf-forms\ndescription: >\n  Fill in\n  PDF forms.",
    "literal": "name: pdf-forms\ndescription: |\n  Fill in\n  PDF forms.",
    "comment": "# a comment\nname: pdf-forms # here too\ndescription: x",
    "tools as a list": FINE + "\nallowed-tools:\n  - Bash\n  - Read",
    "long description": "name: pdf-forms\ndescription: " + "x" * 1024,
    "too long description": "name: pdf-forms\ndescription: " + "x" * 1025,
    "compatibility of 500": FINE + "\ncompatibility: " + "x" * 500,
    "compatibility of 501": FINE + "\ncompatibility: " + "x" * 501,
    "compatibility as a list": FINE + "\ncompatibility:\n  - a",
    "no name": "description: x",
    "empty name": "name:\ndescription: x",
    "no description": "name: pdf-forms",
    "empty description": "name: pdf-forms\ndescription: ' '",
    "a list for a description": "name: pdf-forms\ndescription:\n  - x",
    "another name than the folder's": "name: pdf\ndescription: x",
    "capital letters": "name: PDF-Forms\ndescription: x",
    "two hyphens": "name: pdf--forms\ndescription: x",
    "hyphen at the end": "name: pdf-forms-\ndescription: x",
    "underscore": "name: pdf_forms\ndescription: x",
    "unknown field": FINE + "\nversion: 2",
    "a colon without quotes": "name: pdf-forms\ndescription: Use when: a form is to be filled in",
    "brackets": FINE + "\nallowed-tools: [Bash, Read]",
    "anchor": "name: &n pdf-forms\ndescription: x",
    "alias": "name: &n pdf-forms\ndescription: *n",
    "tag": "name: !!str pdf-forms\ndescription: x",
    "python tag": "name: !!python/object/apply:os.system ['true']\ndescription: x",
    "twice": "name: pdf-forms\nname: pdf-forms\ndescription: x",
    "a list": "- name\n- description",
    "a word": "pdf-forms",
    "nothing": "",
    "tabs": "name:\tpdf-forms\n\tdescription: x",
    "two documents": FINE + "\n...\nname: other",
}


def read(head: str) -> Header:
    """The header of a whole file with this head."""
    return read_header(split(f"---\n{head}\n---\n\n# Body\n")[0], FOLDER)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_the_accepted_set_is_the_oracles(head: str, tmp_path: Path) -> None:
    """A head without a word from us is one that ``agentskills validate`` finds valid."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "SKILL.md").write_text(f"---\n{head}\n---\n\n# Body\n", encoding="utf-8")
    try:
        ours = not read(head).loose
    except BrokenHeader:
        ours = False
    assert ours == (validate(folder) == [])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("another name than the folder's", "not that of its folder"),
        ("capital letters", "capital letters"),
        ("unknown field", "unknown: version"),
        ("a colon without quotes", "colon"),
        ("brackets", "brackets"),
        ("no name", "name is missing"),
        ("too long description", "more than 1024"),
    ],
)
def test_what_others_write_wrong_is_let_pass_and_said(name: str, said: str) -> None:
    """A skill that can be used is used; what is wrong with it is one line."""
    header = read(HEADS[name])
    assert header.description
    assert [line for line in header.loose if said in line]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no description", "description is missing"),
        ("alias", "line 2: anchors and aliases"),
        ("python tag", "line 2: tags"),
        ("twice", "line 3: 'name' is there twice"),
        ("a list", "no list of fields"),
        ("tabs", "not YAML in line"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_with_its_line(name: str, said: str) -> None:
    """The line is that of the file, which begins with the dashes."""
    with pytest.raises(BrokenHeader, match=said):
        read(HEADS[name])


def test_a_small_file_is_never_a_large_value_nor_a_deep_one() -> None:
    """The billion laughs, ten thousand brackets and a head without an end."""
    laughs = "a: &a [x]\n" + "\n".join(f"{n}: &{n} [*a,*a,*a]" for n in "bcdefgh")
    for head in (laughs, "[" * 10_000, "{a: " * 4_000, "- " * 5_000):
        with pytest.raises(BrokenHeader):
            read(head)
    with pytest.raises(BrokenHeader, match="no second line"):
        split("---\n" + "a: b\n" * 100_000 + "---\n")


@given(st.text(max_size=300))
def test_no_text_is_an_error_of_another_kind(text: str) -> None:
    """Whatever stands in the file: a header, or one sentence."""
    for whole in (text, f"---\n{text}\n---\n"):
        with suppress(BrokenHeader):
            read_header(split(whole)[0], FOLDER)
