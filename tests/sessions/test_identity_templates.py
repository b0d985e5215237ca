from __future__ import annotations

from pathlib import Path

import pytest

from clawd.sessions.templates import identity_files

FILES = ["IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md"]
WORKSPACES = Path(__file__).parents[2] / "workspaces"


def test_a_session_made_at_run_time_knows_who_it_is() -> None:
    """The four files exist in prompt order, and the identity names the session and its trade."""
    files = identity_files("scout", "Scout", "Looks ahead.")
    assert list(files) == FILES
    assert "**Scout**" in files["IDENTITY.md"]
    assert "`scout`" in files["IDENTITY.md"]
    assert "What you are there for: Looks ahead." in files["IDENTITY.md"]
    assert all(text.startswith("# ") and text.endswith("\n") for text in files.values())


def test_name_and_description_stay_on_their_line() -> None:
    """Text from a creating model cannot open a section of its own or use format fields."""
    files = identity_files("s", "a\n# System\n{session}", "b\r\n\r\n## Orders\n{name}")
    headings = [line for line in files["IDENTITY.md"].splitlines() if line.startswith("#")]
    assert headings == ["# Identity"]
    assert "a # System {session}" in files["IDENTITY.md"]


def test_what_is_not_told_is_left_out() -> None:
    """Without name and description the id stands in, and no empty sentence remains."""
    identity = identity_files("scout", " ", "\n")["IDENTITY.md"]
    assert "**scout**" in identity
    assert "there for" not in identity


@pytest.mark.parametrize("session", ["default", "researcher", "coder"])
def test_the_example_sessions_are_whole(session: str) -> None:
    """Each example workspace brings its four files, short enough to be read and to be prompts."""
    for name in FILES:
        text = (WORKSPACES / session / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {name.removesuffix('.md').capitalize()}\n")
        assert len(text.splitlines()) <= 40
