"""What of a workspace is the daemon's, and so no command's to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawd.errors import ClawdError, Refused
from clawd.sandbox.workspace import furnish, protected, workspace_view


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace in a home."""
    workspace = tmp_path / "home/workspaces/ada"
    workspace.mkdir(parents=True)
    return workspace


def names(paths: tuple[Path, ...], root: Path) -> set[str]:
    """Paths relative to the workspace."""
    return {str(path.relative_to(root)) for path in paths}


def test_what_is_missing_is_made_and_protected(place: Path) -> None:
    """Empty and private; a second look changes nothing."""
    found = names(protected(place), place)
    assert found == {
        *("IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md"),
        *("history.jsonl", "session_messages.jsonl", "schedules.jsonl"),
        *("logs", "results", ".trash"),
    }
    assert {path.stat().st_mode & 0o077 for path in place.iterdir()} == {0}
    assert names(protected(place), place) == found


def test_what_is_there_stays(place: Path) -> None:
    """Placeholders take nobody's place."""
    (place / "SOUL.md").write_text("mine")
    furnish(place)
    assert (place / "SOUL.md").read_text() == "mine"


def test_identity_that_may_be_written_is_left_out(place: Path) -> None:
    """Those that ``tools.identity`` names; the others stay protected."""
    found = names(protected(place, ["MEMORY.md", "USER.md"]), place)
    assert {"SOUL.md", "IDENTITY.md"} <= found
    assert not {"MEMORY.md", "USER.md"} & found


def test_copies_and_the_index_of_notes_are_protected(place: Path) -> None:
    """What a damaged line left, marks, and what in ``memory/`` is no note."""
    (place / "memory").mkdir()
    for name in ("history.jsonl.rejected", ".untrusted.json", "memory/index.sqlite", "memory/a.md"):
        (place / name).touch()
    found = names(protected(place), place)
    assert {"history.jsonl.rejected", ".untrusted.json", "memory/index.sqlite"} <= found
    assert "memory/a.md" not in found


@pytest.mark.parametrize("name", ["SOUL.md", "history.jsonl", "logs", "results"])
def test_a_link_in_their_place_is_refused(place: Path, name: str) -> None:
    """A mount would go where it leads, and the link itself could be exchanged."""
    (place / "other").mkdir()
    (place / name).symlink_to("other")
    with pytest.raises(Refused) as caught:
        protected(place)
    assert caught.value.code == "protected_link"
    assert name in caught.value.message


def test_a_folder_in_the_place_of_a_file_is_refused(place: Path) -> None:
    """Whatever is wrong there is one clear error."""
    (place / "SOUL.md").mkdir()
    with pytest.raises(ClawdError, match=r"SOUL\.md"):
        protected(place)


def test_no_commands_in_clawds_own_folders(place: Path) -> None:
    """A workspace that is the home, or lies in its state, is none for commands."""
    home = place.parents[1]
    (home / "state/sub").mkdir(parents=True)
    for wrong in (home, home / "state", home / "state/sub"):
        with pytest.raises(Refused) as caught:
            workspace_view(wrong, home)
        assert caught.value.code == "workspace_is_home"


def test_the_view_of_a_workspace(place: Path) -> None:
    """The home and the others' workspaces are hidden, a shared one is not; links are followed."""
    home, shared = place.parents[1], place
    link = home / "linked"
    link.symlink_to(place)
    view = workspace_view(link, home, others=[home / "workspaces/bob", shared], network=True)
    assert view.workspace == place
    assert view.hidden == (home, home / "workspaces/bob")
    assert view.network
