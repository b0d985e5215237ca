"""R14: no control byte of anybody else's text reaches a terminal, whatever the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from tests.cli.conftest import home_at
from tests.cli.test_chat_screen import CTRL_O, ENTER, chatting, leave
from tests.cli.test_clean import VISIBLE_SIGNS

from clawd.cli.client import Client

if TYPE_CHECKING:
    from tests.cli.conftest import Home

EVIL = (
    "\x1b]0;EVIL\x07\x1b]52;c;RVZJTA==\x07\x1b]8;;http://EVIL/\x1b\\link\x1b]8;;\x1b\\"
    "\x1b[3J\x1b[77;77H\x1b[?1049h\x1b[6n\x1b[5i\x1bP1$rEVIL\x1b\\\x1b_EVIL\x1b\\\x1b^EVIL\x1b\\"
    "\x1bXEVIL\x1b\\\x1bc\x1b(0\x1b#8\x9b31m\x9d0;EVIL\x9c\x90EVIL\x9c\r\x08\x7f\x00\x0b\x0c\x0e"
    "\x85\u202e\u2066\u200b\u200d\u2028\u2029\ufeff\u00ad\u061c\U000e0041\U000e0001\u3164\u115f"
)
"""One text with every kind: OSC, CSI, DCS, APC, PM, SOS, C0, C1, bidi, zero-width, tags."""
SAID = EVIL.replace("\x00", "")
"""The same without NUL, for where it is refused."""
TYPED = re.sub(r"[\x00\x03\x04\x08\x0d\x1a]", "", EVIL)

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_BEGINS = re.compile(r"\x1b[\]PX^_c(#]|[\x07\x08\x00\x0b\x0e\x7f\x85]|\x1b\[(3J|77;77H|6n|5i)")


def steered(text: str) -> list[str]:
    """What in a terminal's input steers it, or hides: beside clawd's own colours and line ends."""
    rest = re.sub(VISIBLE_SIGNS, "", _STYLE.sub("", text)).replace("\r\n", "\n")
    return [
        f"U+{ord(c):04X} in …{rest[max(0, at - 30) : at + 10]!r}"
        for at, c in enumerate(rest)
        if (unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t")
        or c in "\u3164\u115f"
    ]


def on_terminal(home: Home, *words: str) -> str:
    """What a terminal of 100 columns receives of ``clawd WORDS``."""
    line = home.line(*words)
    child: Any = pexpect.spawn(
        line[0], line[1:], env=home.environment, encoding="utf-8", codec_errors="surrogateescape",
        timeout=30, dimensions=(40, 100),
    )  # fmt: skip
    text = str(child.read())
    child.close()
    return text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home in which every text that somebody else can write is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    call = {"call": "send_message_to_session", "arguments": {
        "target_session": "peer", "message": f"row {EVIL}", "thread_id": "t", f"x{EVIL}": EVIL,
    }}  # fmt: skip
    script = {
        "m": [
            {"say": f"# answer {EVIL}\n\n```\n{EVIL}\n```\n| a |\n|---|\n| {EVIL} |"},
            {"calls": [call, {"call": f"tool{EVIL}"}, {"call": "list_agents"}]},
        ]
    }
    (folder / "script.json").write_text(json.dumps(script))
    with subprocess.Popen(
        [sys.executable, "-m", "clawd.testing.model", "--loop", "--script",
         str(folder / "script.json")],
        stdout=subprocess.PIPE, text=True,
    ) as model:  # fmt: skip
        assert model.stdout is not None
        url = model.stdout.readline().split()[1]
        template = {
            "name": f"T {SAID}", "description": f"D {SAID}", "endpoint": url,
            "availableModels": ["m"], "defaultModel": "m",
        }  # fmt: skip
        entry = {"name": f"N {SAID}", "description": f"D {SAID}", "capabilities": [f"c{SAID}"]}
        off = {"provider": {"template": "offline"}}
        made = home_at(folder / "h")
        made.path.mkdir()
        (made.path / "config.json").touch(0o600)
        (made.path / "config.json").write_text(
            json.dumps({
                "providerTemplates": {"evil": template},
                "sessions": {"default": entry, "peer": entry | off},
                f"x-{SAID}": SAID,
            })
        )  # fmt: skip
        assert made.run("start").returncode == 0
        try:
            fill(made)
            yield made
        finally:
            made.run("stop")
            model.kill()


def fill(home: Home) -> None:
    """Messages, tasks, turns, a created session and logs, all of them hostile."""
    (home.path / "workspaces/peer").mkdir(parents=True, exist_ok=True)
    (home.path / "workspaces/peer/SOUL.md").write_text(f"# Soul\n{SAID}\n")

    def api(method: str, path: str, body: Any) -> Any:
        client = Client(home.path, 20)
        return getattr(client, method)(path, body)

    api("post", "/api/messages", {"to": "peer", "content": f"mail {EVIL}", "threadId": "t"})
    api("post", "/api/messages", {"to": "default", "content": f"subject {EVIL}", "from": "peer"})
    api("post", "/api/messages", {"to": "operator", "content": f"inbox {EVIL}", "from": "peer"})
    task = api(
        "post",
        "/api/tasks",
        {"toSession": "peer", "task": f"work {EVIL}", "context": {f"k{EVIL}": EVIL}},
    )
    api("get", f"/api/tasks/{task['id']}", {"wait": 20})
    api("post", "/api/tools/create_session", {
        "session": "peer",
        "arguments": {"session_id": "kid", "provider_template": "offline", "name": f"K {EVIL}",
                      "description": f"D {EVIL}", "capabilities": [f"c{EVIL}"]},
    })  # fmt: skip
    home.run("chat", "-p", f"first {SAID}")
    home.run("chat", "-p", f"second {SAID}")


COMMANDS = [
    ("sessions", "list"), ("sessions", "show", "peer"), ("sessions", "show", "kid"),
    ("sessions", "transcript", "default"), ("sessions", "context", "peer"),
    ("sessions", "adopt", "kid"), ("messages", "list"), ("messages", "list", "-s", "*"),
    ("messages", "thread", "t", "-s", "peer"), ("messages", "search", "mail", "-s", "peer"),
    ("tasks", "list"), ("tasks", "tree"), ("providers", "list"), ("tools", "list"),
    ("tools", "call", "list_agents"), ("config", "show"), ("config", "validate"),
    ("status",), ("doctor",), ("logs", "-n", "200"), ("logs", "-s", "peer", "-n", "200"),
    ("explain", "default", "peer"), ("send", "peer", f"x {TYPED}", "--wait"),
    ("send", f"pe{TYPED}er", "x"), ("sessions", "show", f"pe{TYPED}er"), (f"comm{TYPED}and",),
    ("tasks", "show", f"task-{TYPED}"), ("tools", "show", f"to{TYPED}ol"),
    ("messages", "show", f"msg{TYPED}"), ("tools", "call", "list_agents", f"{{{TYPED}"),
    ("sessions", "create", f"id{TYPED}"), (f"--o{TYPED}",), ("chat", "-p", "once more"),
    ("trace", f"tr{TYPED}"), ("explain", f"a{TYPED}", "peer"),
    ("send", "peer", "x", "--thread", f"t{TYPED}"),
]  # fmt: skip
AS_JSON = [
    ("sessions", "list"), ("messages", "list", "-s", "*"), ("tasks", "list"),
    ("logs", "-s", "peer", "-n", "50"), ("sessions", "show", f"pe{TYPED}er"),
]  # fmt: skip


def test_no_command_lets_it_through(hostile: Home) -> None:
    """Every one-shot command, on a terminal: names, texts, results, errors, what was typed."""
    seen = {words: on_terminal(hostile, *words) for words in COMMANDS}
    wrong = {words: found for words, text in seen.items() if (found := steered(text)[:3])}
    assert wrong == {}
    assert all(seen.values())
    shown = "".join(seen.values())
    assert "⟨U+202E⟩" in shown
    for word in ("answer", "mail", "work", "row", "inbox"):
        assert word in shown, word


def test_json_is_escaped(hostile: Home) -> None:
    """With --json the same facts are there, as escapes."""
    for words in AS_JSON:
        text = on_terminal(hostile, *words, "--json")
        assert steered(text) == [], words
    (message, *_) = hostile.json("messages", "list", "-s", "peer")["items"]
    assert message["content"] == f"mail {EVIL}"


def test_streams_of_lines(hostile: Home) -> None:
    """``logs -f`` and ``events -f``, plain and as JSON, while hostile things happen."""
    follow = ("-f", "-s", "peer")
    for words in (("logs", *follow), ("events", *follow), ("events", *follow, "--json")):
        line = hostile.line(*words)
        child: Any = pexpect.spawn(
            line[0], line[1:], env=hostile.environment, encoding="utf-8", timeout=20
        )
        # It says nothing before something happens: another message until it listens.
        for _ in range(20):
            hostile.run("send", "peer", f"stream {SAID}")
            if child.expect(["stream", pexpect.TIMEOUT], timeout=1) == 0:
                break
        child.expect("finished|msg-")
        text = child.before + child.after
        child.close(force=True)
        assert steered(text) == [], words


def test_the_chat_lets_nothing_through(hostile: Home) -> None:
    """The chat: greeting, answers, tool rows and detail, mail, tasks, lists, errors, searches."""
    with chatting(hostile) as child:
        child.send(CTRL_O)
        child.expect_exact("tool detail is on")
        for _ in range(2):
            child.send("go on" + ENTER)
            child.expect_exact("answer")
        for typed, wanted in (
            ("/sessions", "peer"),
            ("/inbox", "inbox"),
            ("/tasks", "no open tasks"),
            ("/tools", "list_agents"),
            ("/identity", "identity"),
            ("/search subject", "⟨U+202E⟩"),
            ("/context", "history"),
            ("/model", "offered"),
        ):
            child.send(typed + ENTER)
            child.expect_exact(wanted)
        hostile.run("send", "default", f"/quit\n/stop {SAID}", "--from", "peer")
        child.expect_exact("peer → default")
        hostile.run("tasks", "delegate", "peer", f"chore {SAID}", "--wait")
        child.expect_exact("chore")
        leave(child)
    written = child.written.text
    assert _BEGINS.findall(written) == []
    assert not [c for c in written if unicodedata.category(c) in ("Cf", "Cs", "Zl", "Zp")]
    assert "\x9b" not in written


def test_names_of_folders(tmp_path: Path) -> None:
    """``fsck`` and ``doctor`` meet folders and files that nobody of clawd made."""
    made = home_at(tmp_path / "h")
    assert made.run("init", "--provider", "offline").returncode == 0
    odd = re.sub(r"[/\x00]", "", TYPED)[:60]
    folder = made.path / "workspaces" / odd
    folder.mkdir()
    (folder / "session_messages.jsonl").write_text(f"{odd}\n")
    for words in (("fsck",), ("doctor",), ("fsck", "--json")):
        text = on_terminal(made, *words)
        # Its own line about how far it is.
        assert steered(re.sub(r"\r\x1b\[K", "\n", text)) == [], words
        assert text


def test_a_broken_file_is_told_in_safe_words(hostile: Home, tmp_path: Path) -> None:
    """Problems of a configuration show keys and values of it harmless."""
    made = home_at(tmp_path / "h")
    made.path.mkdir()
    config = {
        f"unkn{EVIL}own": 1,
        "sessions": {f"bad{EVIL}id": {}, "a": {"role": EVIL, "workspace": f"w{EVIL}", EVIL: 1}},
        "providerTemplates": {f"t{EVIL}": {"endpoint": f"http://x/{EVIL}"}},
    }
    (made.path / "config.json").write_text(json.dumps(config))
    for words in (("config", "validate"), ("config", "validate", "--json"), ("start",)):
        text = on_terminal(made, *words)
        assert steered(text) == [], words
        assert "unkn" in text
