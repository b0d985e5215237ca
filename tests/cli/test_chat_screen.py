"""The interactive chat, as a human types it: through a pseudo-terminal."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Home

SEND = 'Use send_message_to_session to send "Hello from Claw!" to session "researcher"'
ESC, CTRL_C, CTRL_D, CTRL_J, CTRL_L = "\x1b", "\x03", "\x04", "\n", "\x0c"
CTRL_O, CTRL_P = "\x0f", "\x10"
ALT_UP, UP, TAB, ENTER = "\x1b\x1b[A", "\x1b[A", "\t", "\r"

Chat = Any
"""A pexpect child; ``said`` holds everything that it wrote."""


class Written:
    """Collects what the terminal received."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        """More output."""
        self.text += text

    def flush(self) -> None:
        """Nothing is kept back."""


@contextmanager
def chatting(home: Home, *words: str, **environment: str) -> Iterator[Chat]:
    """A chat on a terminal of 100 by 30; it is made to leave at the end."""
    line = home.line("chat", *words)
    child: Any = pexpect.spawn(
        line[0], line[1:], env={**home.environment, **environment}, dimensions=(30, 100),
        encoding="utf-8", timeout=15,
    )  # fmt: skip
    child.written = Written()
    child.logfile_read = child.written
    try:
        child.expect_exact("/help")
        yield child
    finally:
        child.close(force=True)


def leave(child: Chat) -> None:
    """Leave with Ctrl+D and look at how it ended."""
    child.send(CTRL_D)
    child.expect_exact("come back with: clawd chat")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def redrawn(child: Chat) -> Chat:
    """Have the live part drawn whole: otherwise only the characters that changed are written."""
    child.send(CTRL_L)
    return child


def test_a_conversation(shared: Home) -> None:
    """A line is sent, the tool row and the answer appear, Ctrl+D leaves and says how to return."""
    with chatting(shared) as child:
        child.send(SEND + ENTER)
        child.expect_exact("⚙ ")
        child.expect("send_message_to_session.*→ researcher .*Hello from Claw!.* … .*ok.* ms")
        child.expect_exact("stored and wakes it")
        leave(child)


def test_new_lines_history_and_the_editor_keys(shared: Home) -> None:
    """Ctrl+J and backslash Enter begin a line; Up brings the whole text back; the file is 0600."""
    with chatting(shared, "-s", "coder") as child:
        child.send("first" + CTRL_J + "second\\" + ENTER + "third" + ENTER)
        child.expect("> .*first\\r+\\nsecond\\r+\\nthird")
        child.expect_exact("follow instructions")
        child.send(UP)
        child.expect_exact("third")
        child.send(CTRL_C)
        leave(child)
    path = shared.path / "state" / "history" / "coder"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == '"first\\nsecond\\nthird"\n'


def test_slash_commands(shared: Home) -> None:
    """Commands answer without a model; an unknown one names the nearest; Tab completes."""
    with chatting(shared) as child:
        for typed, wanted in (
            ("/sessions", "researcher"),
            ("/tools", "send_message_to_session"),
            ("/context", "history"),
            ("/tasks", "no open tasks"),
            ("/model", "offered: offline"),
            ("/cost", " in, "),
            ("/identity", "IDENTITY.md"),
            ("/sesions", "did you mean /sessions?"),
            ("/delegate nobody do it", "nobody"),
            ("/search", "usage: /search WORDS"),
        ):
            child.send(typed + ENTER)
            child.expect_exact(wanted)
        child.send("/interr" + TAB)
        redrawn(child).expect_exact("/interrupt")
        child.send(CTRL_C + "/quit" + ENTER)
        child.expect_exact("come back with")
        child.expect(pexpect.EOF)


def test_another_session_without_leaving(shared: Home) -> None:
    """@session sends a message; Ctrl+P picks a session; its own greeting appears."""
    with chatting(shared) as child:
        child.send("@coder Hello there" + ENTER)
        child.expect("operator → coder.*Hello there")
        child.send(CTRL_P)
        child.expect_exact("pick a session")
        child.send("resea")
        redrawn(child).expect("> researcher.*Finds things out")
        child.send(ENTER)
        child.expect("researcher.* · offline")
        leave(child)
    assert "clawd chat -s researcher" in child.written.text


def test_tool_detail(shared: Home) -> None:
    """Ctrl+O shows arguments and result below the row."""
    with chatting(shared) as child:
        child.send(CTRL_O)
        child.expect_exact("tool detail is on")
        child.send(SEND + ENTER)
        child.expect_exact('target_session = "researcher"')
        leave(child)


def test_what_arrives_does_not_touch_what_is_typed(shared: Home) -> None:
    """A message and a result that come while somebody types print above; the text is sent whole."""
    with chatting(shared) as child:
        child.send("Use send_message_to_session to send")
        child.expect_exact("to send")
        shared.run("tasks", "delegate", "coder", "Say something", "--wait")
        child.expect("✔ .*coder.*completed")
        child.send(' "after" to session "researcher"' + ENTER)
        child.expect('default.* → researcher.*"after"')
        leave(child)


def test_hostile_text_stays_text(shared: Home) -> None:
    """Control sequences in a message, a task or an answer never reach the terminal."""
    evil = "\x1b]0;owned\x07\x1b[5;5Hhere\x9b31m\u202e"
    with chatting(shared) as child:
        shared.run("send", "default", f"subject {evil}")
        child.expect_exact("subject")
        shared.run("tasks", "delegate", "coder", f"chore {evil}", "--wait")
        child.expect_exact("chore")
        child.send("/search subject" + ENTER)
        child.expect_exact("⟨U+202E⟩")
        leave(child)
    for bad in ("\x1b]0;", "\x07", "\x1b[5;5H", "\x9b", "\u202e"):
        assert bad not in child.written.text


def test_queue_take_back_and_stop(home: Home, silent_port: int) -> None:
    """Enter queues while a turn runs, Alt+Up takes the line back, Esc stops the turn."""
    home.silence(silent_port)
    with chatting(home) as child:
        child.send("first" + ENTER)
        child.expect_exact("Esc stops")
        child.send("second" + ENTER)
        child.expect_exact("1 queued: second")
        child.send("third" + ENTER)
        redrawn(child).expect_exact("2 queued: second")
        child.send(ALT_UP)
        child.expect_exact("third")
        redrawn(child).expect_exact("1 queued: second")
        child.send(ESC)
        child.expect_exact("stopped")
        child.expect("> .*second")
        child.expect_exact("Esc stops")
        child.send(CTRL_C)
        child.expect_exact("stopped")
        child.send(CTRL_C)
        child.send(CTRL_C)
        child.expect_exact("Ctrl+C again leaves")
        child.send(CTRL_C)
        child.expect_exact("come back with")
        child.expect(pexpect.EOF)


def test_a_restarted_daemon(home: Home) -> None:
    """The chat says that the daemon has gone and is back, and goes on."""
    home.run("start")
    with chatting(home) as child:
        home.run("restart")
        child.expect_exact("the daemon has gone")
        child.expect_exact("started anew")
        child.send(SEND + ENTER)
        child.expect_exact("stored and wakes it")
        leave(child)


def test_bare_clawd_on_a_terminal_is_the_chat(shared: Home) -> None:
    """Without a command, on a terminal: the chat."""
    line = shared.line()
    child: Any = pexpect.spawn(
        line[0], line[1:], env=shared.environment, encoding="utf-8", timeout=15
    )
    child.expect_exact("/help")
    leave(child)


def test_it_starts_a_daemon(home: Home) -> None:
    """Without a daemon the chat starts one and says so."""
    with chatting(home) as child:
        assert "started the daemon" in child.written.text
        leave(child)
    assert home.run("status").returncode == 0


@pytest.mark.parametrize(
    ("words", "environment"), [((), {"NO_COLOR": "1"}), (("--no-color",), {}), (("--plain",), {})]
)
def test_no_colour(shared: Home, words: tuple[str, ...], environment: dict[str, str]) -> None:
    """NO_COLOR, --no-color and --plain leave no colour code; --plain has no status line either."""
    row = "tool send_message_to_session to researcher" if "--plain" in words else "⚙ "
    with chatting(shared, *words, **environment) as child:
        child.send(SEND + ENTER)
        # The chat begins with the last words of the turn before: the row is of this one.
        child.expect_exact(row)
        child.expect_exact("stored and wakes it")
        leave(child)
    codes = re.findall(r"\x1b\[([0-9;]*)m", child.written.text)
    assert not [code for code in codes if re.search(r"(^|;)(3[0-7]|9[0-7]|38|48)(;|$)", code)]
    if "--plain" in words:
        assert " · 0%" not in child.written.text


def test_a_dumb_terminal_is_told_what_works(shared: Home) -> None:
    """TERM=dumb cannot show the screen: the error names what can be used instead."""
    line = shared.line("chat")
    child: Any = pexpect.spawn(
        line[0], line[1:], env={**shared.environment, "TERM": "dumb"}, encoding="utf-8", timeout=15
    )
    child.expect_exact("clawd chat -p")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 2
