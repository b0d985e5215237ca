"""sessions, messages, tasks, tools, providers, events, config: on a running daemon."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawd.cli.clean import width

if TYPE_CHECKING:
    from tests.cli.conftest import Home


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (("sessions", "list"), "clawd.sessions/1"),
        (("messages", "list"), "clawd.messages/1"),
        (("tasks", "list"), "clawd.tasks/1"),
        (("providers", "list"), "clawd.providers/1"),
        (("tools", "list"), "clawd.tools/1"),
    ],
)
def test_lists_have_the_envelope(shared: Home, words: tuple[str, ...], schema: str) -> None:
    """Each list is one document {schema, items, next}; for humans it is not JSON."""
    document = shared.json(*words)
    assert document["schema"] == schema
    assert isinstance(document["items"], list)
    assert document["next"] is None
    assert not shared.run(*words).stdout.startswith("{")


def test_explain(shared: Home) -> None:
    """Six rights with yes or no and why; the nearest name for one that is not there."""
    document = shared.json("explain", "default", "coder")
    assert document["schema"] == "clawd.explain/1"
    assert [each["right"] for each in document["rights"]] == [
        "list", "read", "send", "wake", "delegate", "create",
    ]  # fmt: skip
    shown = shared.run("explain", "default", "coder").stdout
    assert "by default, within an organization" in shown
    assert "the other way: clawd explain coder default" in shown
    ended = shared.run("explain", "default", "codr")
    assert (ended.returncode, "did you mean coder?" in ended.stderr) == (5, True)
    assert shared.run("explain", "codr", "default").returncode == 5


def test_explain_where_it_is_narrow(shared: Home) -> None:
    """No reason is cut: it is what the question was about."""
    environment = {**shared.environment, "COLUMNS": "46"}
    shown = replace(shared, environment=environment).run("explain", "default", "coder").stdout
    assert " ".join(shown.split()).count("by default, within an organization") == 6
    assert "…" not in shown


def test_sessions(shared: Home) -> None:
    """A session can be made, shown, hidden, adopted, removed; its workspace stays."""
    identity = shared.path / "identity.md"
    identity.write_text("# I analyse\n")
    made = shared.json(
        "sessions", "create", "analyzer", "-t", "offline", "--identity", str(identity),
        "--description", "Analyses data",
    )  # fmt: skip
    workspace = Path(made["workspace"])
    assert (workspace / "IDENTITY.md").read_text() == "# I analyse\n"
    shown = shared.run("sessions", "show", "analyzer").stdout
    assert "Analyses data" in shown
    assert shared.json("sessions", "hide", "analyzer")["hidden"] is True
    assert "(hidden)" in shared.run("sessions", "list").stdout
    assert shared.json("sessions", "unhide", "analyzer")["hidden"] is False
    assert shared.json("sessions", "adopt", "analyzer")["entry"]["description"] == "Analyses data"
    parts = {part["name"] for part in shared.json("sessions", "context", "analyzer")["parts"]}
    assert {"tools", "history"} <= parts
    assert shared.run("sessions", "reset", "analyzer").returncode == 0
    refused = shared.run("sessions", "rm", "analyzer")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert shared.run("sessions", "rm", "analyzer", "--yes").returncode == 0
    assert shared.run("sessions", "show", "analyzer").returncode == 5
    assert workspace.is_dir()


def test_an_identity_that_is_no_text_is_refused(shared: Home) -> None:
    """A file that is not UTF-8 is named, with exit 2, and no session is made."""
    identity = shared.path / "latin.md"
    identity.write_bytes("Ich bin übel".encode("latin-1"))
    ended = shared.run("sessions", "create", "latin", "-t", "offline", "--identity", str(identity))
    assert ended.returncode == 2
    assert f"{identity} is not UTF-8" in ended.stderr
    assert shared.run("sessions", "show", "latin").returncode == 5


def test_messages(shared: Home) -> None:
    """A message is sent, found by thread and words, shown, read, and pruned when read."""
    sent = shared.json("send", "coder", "A rare word: zyzzyva", "--thread", "project-x")
    assert {"id", "from", "to", "content", "timestamp", "read"} <= sent.keys()
    assert (sent["from"], sent["to"], sent["threadId"]) == ("operator", "coder", "project-x")
    for words in (("thread", "project-x"), ("search", "zyzzyva"), ("list", "-s", "coder")):
        ids = [item["id"] for item in shared.json("messages", *words)["items"]]
        assert sent["id"] in ids
    assert "zyzzyva" in shared.run("messages", "show", sent["id"]).stdout
    shared.json("messages", "read", sent["id"])
    assert shared.json("messages", "show", sent["id"])["read"] is True
    assert shared.json("messages", "dead")["items"] == []
    assert shared.run("messages", "prune").returncode == 2
    pruning = ("messages", "prune", "--thread", "project-x")
    assert shared.run(*pruning, "--dry-run").stdout.startswith("1 ")
    assert shared.run(*pruning).returncode == 2
    assert shared.run(*pruning, "--yes").stdout.startswith("1 ")
    assert shared.json("messages", "compact")["after"] >= 0


def test_send_waits_for_the_answer(shared: Home) -> None:
    """--wait prints what came back; an empty message and an unknown session are refused."""
    ended = shared.run("send", "researcher", "-", "--wait", stdin="Hello there")
    assert ended.returncode == 0, ended
    assert ended.stdout.strip()
    assert shared.run("send", "researcher", " ").returncode == 2
    ended = shared.run("send", "reseacher", "hi")
    assert ended.returncode == 5
    assert "did you mean researcher?" in ended.stderr


def test_tasks(shared: Home) -> None:
    """A task is given, waited for, listed, shown; a failed one makes wait end with 8."""
    ended = shared.run("tasks", "delegate", "coder", "Write a haiku", "--wait")
    assert ended.returncode == 0, ended
    assert "haiku" in ended.stdout
    items = shared.json("tasks", "list", "--assigned-to", "coder")["items"]
    assert [item["status"] for item in items] == ["completed"]
    task = items[0]["id"]
    assert shared.run("tasks", "wait", task).stdout == ended.stdout
    assert "Write a haiku" in shared.run("tasks", "show", task).stdout
    assert task in shared.run("tasks", "tree").stdout
    assert shared.json("tasks", "tree", task)["items"][0]["children"] == []
    assert shared.run("tasks", "retry", task).returncode == 1
    assert shared.run("tasks", "complete", task).returncode == 2
    ended = shared.run("tasks", "show", task[:-1])
    assert ended.returncode == 5
    assert task in ended.stderr


def test_the_nearest_is_of_what_was_mistyped(shared: Home) -> None:
    """Whichever of several ids is unknown, it is that one to which the nearest is named."""
    task = shared.json("tasks", "delegate", "coder", "Write a haiku", "--wait")["id"]
    for words in (("send", "default", "hi"), ("tasks", "delegate", "default", "x")):
        ended = shared.run(*words, "--from", "codr")
        assert ended.returncode == 5
        assert "did you mean coder?" in ended.stderr
    ended = shared.run("tasks", "delegate", "coder", "x", "--depends-on", task[:-1])
    assert f"did you mean {task}?" in ended.stderr
    ended = shared.run("tasks", "delegate", "coder", "x", "--depends-on", "zz")
    assert "see: clawd tasks list" in ended.stderr


def test_a_failed_task_is_8(shared: Home) -> None:
    """Waiting ends with 8 when the task failed; it can be given again."""
    text = 'Use send_message_to_session to send "x" to session "nobody-here"'
    ended = shared.run("tasks", "delegate", "coder", text, "--wait")
    assert ended.returncode == 8, ended
    assert ended.stdout == ""
    (task,) = (item["id"] for item in shared.json("tasks", "list", "--status", "failed")["items"])
    again = shared.json("tasks", "retry", task)
    assert again["retryOf"] == task
    assert shared.run("tasks", "wait", again["id"]).returncode == 8


def test_the_operator_ends_tasks(home: Home, silent_port: int) -> None:
    """A task can be cancelled, or ended in its worker's stead; waiting tells which."""
    home.silence(silent_port)
    assert home.run("start").returncode == 0
    first, second = (home.json("tasks", "delegate", "default", text)["id"] for text in "ab")
    assert home.json("tasks", "cancel", first, "--reason", "late")["status"] == "cancelled"
    assert home.run("tasks", "wait", first).returncode == 8
    assert home.json("tasks", "complete", second, "--result", "Done")["status"] == "completed"
    assert home.run("tasks", "wait", second).stdout == "Done\n"


def test_tools(shared: Home) -> None:
    """Tools are listed and shown with their parameters, and called on the operator's word."""
    names = [item["name"] for item in shared.json("tools", "list", "-s", "coder")["items"]]
    assert "send_message_to_session" in names
    assert "target_session" in shared.run("tools", "show", "send_message_to_session").stdout
    result = shared.json("tools", "call", "list_agents")
    assert result["ok"] is True
    assert "researcher" in json.dumps(result)
    examples = shared.run("tools", "show", "-h").stdout.split("Examples:")[1].split("clawd ")[1:]
    assert examples
    for example in examples:
        assert shared.run(*example.split()).returncode == 0, example
    ended = shared.run("tools", "show", "list_agent")
    assert ended.returncode == 5
    assert "list_agents" in ended.stderr
    assert shared.run("tools", "call", "list_agents", "[").returncode == 2
    bad = '{"target_session": "nobody-here", "message": "x"}'
    assert shared.run("tools", "call", "send_message_to_session", bad).returncode == 1


def test_providers(shared: Home) -> None:
    """Templates are listed without keys; a test is one real call, 6 when it is refused."""
    assert "offline" in shared.run("providers", "list").stdout
    assert shared.run("providers", "test", "offline").returncode == 0
    ended = shared.run("providers", "test", "openai")
    assert ended.returncode == 6
    assert "OPENAI_API_KEY" in ended.stdout
    assert "openai: Set OPENAI_API_KEY in the daemon's environment" in ended.stderr
    assert shared.run("providers", "test", "ofline").returncode == 5
    found = [item["id"] for item in shared.json("providers", "detect")["items"]]
    assert found[-1] == "offline"


def test_events(shared: Home) -> None:
    """What the daemon remembers is shown, as lines and as documents in order."""
    shared.run("chat", "-p", "Use list_agents")
    ended = shared.run("events", "--json")
    numbers = [json.loads(line)["seq"] for line in ended.stdout.splitlines()]
    assert numbers == sorted(numbers)
    assert "list_agents" in shared.run("events").stdout
    after = str(numbers[-1])
    assert shared.run("events", "-f", "--after", after, "--timeout", "0.5").returncode == 0


def test_config(shared: Home) -> None:
    """The file is valid and in force; keys are never shown; a broken one is 3 with its place."""
    assert shared.run("config", "path").stdout.strip() == str(shared.path / "config.json")
    document = shared.json("config", "validate")
    assert document["ok"] is True
    assert document["sessions"] == 3
    assert shared.json("config", "show")["config"]["sessions"].keys() >= {"default"}
    assert shared.run("config", "diff").returncode == 0
    assert json.loads(shared.run("config", "schema").stdout)["title"]


def test_a_broken_configuration_is_3(tmp_path: Path, shared: Home) -> None:
    """`config validate` names the place of every problem."""
    (tmp_path / "config.json").write_text(
        '{\n  "sessions": {"a": {"enabled": "yes"}},\n  "x": 1\n}'
    )
    ended = shared.run("config", "validate", "--home", str(tmp_path))
    assert ended.returncode == 3
    assert "config.json:2:" in ended.stdout
    assert "config.json:3:" in ended.stdout
    assert shared.run("config", "show", "--home", str(tmp_path)).returncode == 3


def test_plain_and_colour(shared: Home) -> None:
    """Without a terminal no escape is written, unless FORCE_COLOR; --plain wins; facts a line."""
    environment = {**shared.environment, "FORCE_COLOR": "1"}

    def listed(*words: str) -> str:
        return subprocess.run(
            shared.line("sessions", "list", *words), env=environment,
            capture_output=True, text=True, timeout=30, check=True,
        ).stdout  # fmt: skip

    assert "\x1b" not in shared.run("sessions", "list").stdout
    assert "\x1b" in listed()
    assert "\x1b" not in listed("--no-color")
    assert listed("--plain").startswith("id: default, state: ")
    environment["NO_COLOR"] = "1"
    assert "\x1b" not in listed()


def test_narrow_terminals_keep_ids_whole(shared: Home) -> None:
    """COLUMNS cuts the describing column, never an id."""
    environment = {**shared.environment, "COLUMNS": "60"}
    ended = subprocess.run(
        shared.line("sessions", "list"), env=environment,
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    rows = ended.stdout.splitlines()
    assert all(len(row) <= 60 for row in rows)
    assert any(row.startswith("researcher ") for row in rows)


@pytest.mark.parametrize("columns", [40, 60, 100])
@pytest.mark.parametrize(
    "words",
    [
        ("sessions", "list"),
        ("tasks", "list"),
        ("explain", "default", "researcher"),
        ("sessions", "context", "default"),
    ],
    ids=" ".join,
)
def test_nothing_is_wider_than_the_terminal(
    shared: Home, columns: int, words: tuple[str, ...]
) -> None:
    """40 columns are enough for the lists; what is long goes on below, or is cut."""
    if words[0] == "tasks":
        ended = shared.run("tasks", "delegate", "coder", "a piece of work of some words")
        assert ended.returncode == 0
    at = replace(shared, environment={**shared.environment, "COLUMNS": str(columns)})
    rows = at.run(*words).stdout.splitlines()
    assert rows
    assert max(map(width, rows)) <= columns, rows


def test_a_template_without_its_key_is_answered_with_one_that_has_it(shared: Home) -> None:
    """Seed 004's third example offline: what is missing, what works instead, and that works."""
    line = (
        'Use create_session to create a session called "analyst" using "{}" template '
        "with custom identity focusing on data analysis"
    )
    said = shared.run("chat", "-p", line.format("openai")).stdout
    assert "OPENAI_API_KEY" in said
    assert "or take a template that has what it needs: offline" in said
    assert "analyst is running" in shared.run("chat", "-p", line.format("offline")).stdout
    assert shared.run("sessions", "rm", "analyst", "--yes").returncode == 0


def test_completions(shared: Home) -> None:
    """Scripts for four shells; Tab offers commands and the sessions of the running daemon."""
    for shell in ("bash", "zsh", "fish", "powershell"):
        script = shared.run("completions", shell).stdout
        assert "clawd" in script
        assert shared.json("completions", shell)["script"] == script
    environment = {
        **shared.environment, "_CLAWD_COMPLETE": "bash_complete", "COMP_WORDS": "clawd send re",
        "COMP_CWORD": "2",
    }  # fmt: skip
    program = "import sys; sys.argv[0] = 'clawd'; from clawd.cli.main import main; main()"
    ended = subprocess.run(
        [*shared.line()[:1], "-c", program], env=environment,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "researcher" in ended.stdout
    ended = shared.run("completions", "fish", "--install")
    assert Path(ended.stdout.split()[1]).read_text().strip()
    assert os.environ.get("HOME") != str(shared.path)
