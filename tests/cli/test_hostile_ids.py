"""R13: hostile ids and paths typed at the terminal: one clear error each, nothing touched."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.test_session_creation import HOSTILE

from clawd.cli.main import main

if TYPE_CHECKING:
    from tests.cli.conftest import Home

TYPED = [name for name in HOSTILE if "\0" not in name and not name.startswith("-")]
"""What a shell can pass on as an argument that is no option."""
NO_TEXT = os.fsdecode(b"x\xff")
"""Bytes that are no UTF-8, as Python gets them from a shell."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands run in this process, hundreds of them; its handler of SIGTERM comes back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("NO_COLOR", "1")
    yield
    signal.signal(signal.SIGTERM, before)


def everything(root: Path) -> set[tuple[str, int]]:
    """All that is below a folder, with its size, but for logs and the daemon's state."""
    return {
        (str(Path(folder, name).relative_to(root)), Path(folder, name).lstat().st_size)
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
        if not {"logs", "state"} & {*Path(folder, name).relative_to(root).parts}
    }


@pytest.mark.usefixtures("here")
def test_with_a_daemon(shared: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """Creating, showing, writing, delegating, logs, history: none takes such an id."""
    before = everything(shared.path.parent)
    for name in [*TYPED, NO_TEXT]:
        for words in (
            ("sessions", "create", name, "-t", "offline"),
            ("sessions", "show", name),
            ("sessions", "rm", name, "--yes"),
            ("sessions", "transcript", name),
            ("messages", "show", name),
            ("messages", "list", "-s", name),
            ("tasks", "show", name),
            ("tasks", "cancel", name),
            ("trace", name),
            ("send", name, "x"),
            ("send", "coder", "x", "--from", name),
            ("tasks", "delegate", name, "x"),
            ("logs", "-s", name),
            ("explain", name, "coder"),
        ):
            if name.lower() == "boss" and words[1] == "create":
                continue  # Here it is as good as any.
            if name == "" and words[0] in ("send", "logs", "messages") and words[-1] == name:
                continue  # Nothing given is the operator, or the daemon.
            code = main(["--home", str(shared.path), *words])
            told = capfd.readouterr()
            assert code in (1, 2, 5), (words, told)
            assert "clawd: " in told.err or "Error: " in told.err, words
            assert "unexpected" not in told.err, (words, told)
            assert "/api/" not in told.err, (words, told)
            assert words[1] != "create" or "provider" not in told.err, (words, told)
            assert "\x1b" not in told.err + told.out
    assert everything(shared.path.parent) == before
    # The same words with a name that is one: what is refused above is refused for its name.
    assert main(["--home", str(shared.path), "sessions", "create", "sound", "-t", "offline"]) == 0


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["../x", "a/../b", "..", "/"])
def test_a_way_to_somewhere_else_is_no_session(
    shared: Home, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """The error says so, in the words of any other name that nobody has."""
    assert main(["--home", str(shared.path), "sessions", "show", name]) == 5
    assert "there is no session of that name" in capfd.readouterr().err


@pytest.mark.usefixtures("here")
def test_an_id_that_is_no_text(shared: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """It is refused as what it is: bytes that mean nothing."""
    for words in (("sessions", "show"), ("tasks", "cancel"), ("messages", "show"), ("trace",)):
        assert main(["--home", str(shared.path), *words, NO_TEXT]) == 2
        assert "is not UTF-8" in capfd.readouterr().err


@pytest.mark.usefixtures("here")
def test_without_a_daemon(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """A log is looked for by its session's id alone, never by a way to somewhere else."""
    (home.path / "logs").mkdir()
    (home.path / "logs" / "session.log").write_text('{"time": "t", "text": "precious"}\n')
    before = everything(home.path.parent)
    for name in TYPED:
        if name:
            code = main(["--home", str(home.path), "logs", "-s", name])
            told = capfd.readouterr()
            assert code in (2, 5), (name, told)
            assert "precious" not in told.out
            assert "unexpected" not in told.err, (name, told)
    assert everything(home.path.parent) == before
