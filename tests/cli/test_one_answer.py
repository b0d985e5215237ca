"""chat -p: one prompt, one answer, for scripts."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Home

LIMIT = 30.0

SEND = 'Use send_message_to_session to send "Hello from Claw!" to session "researcher"'


def test_stdout_holds_the_answer_alone(shared: Home) -> None:
    """Nothing but the final text is on stdout; stderr is empty when the daemon runs already."""
    ended = shared.run("chat", "-p", SEND)
    assert ended.returncode == 0
    assert "researcher" in ended.stdout
    assert ended.stderr == ""


def test_json_output(shared: Home) -> None:
    """--output json is one document with the result, the usage and the tool calls."""
    document = json.loads(shared.run("chat", "-p", SEND, "--output", "json").stdout)
    assert document["schema"] == "clawd.run/1"
    assert (document["session"], document["ok"], document["denied"]) == ("default", True, [])
    (call,) = document["toolCalls"]
    assert call["name"] == "send_message_to_session"
    assert call["ok"] is True
    assert document["usage"]["inputTokens"] > 0
    assert document == json.loads(json.dumps(document))
    assert json.loads(shared.run("chat", "-p", "hi", "--json").stdout)["schema"] == "clawd.run/1"


def test_stream_json_is_the_event_stream(shared: Home) -> None:
    """--output stream-json is one event a line, from the start of the turn to its one end."""
    ended = shared.run("chat", "-p", SEND, "--output", "stream-json")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names.index("run_started") < names.index("tool_call_start")
    assert names[-1] == "run_finished"
    assert names.count("run_finished") == 1
    assert all({"seq", "time", "session", "run_id"} <= event.keys() for event in events)
    text = "".join(e["content"] for e in events if e["event"] == "text_message_content")
    assert events[-1]["final_message"] in text


def test_what_is_piped_in_is_context(shared: Home) -> None:
    """A pipe goes behind the prompt; -p - makes the pipe the prompt itself."""
    ended = shared.run("chat", "-p", "Use list_agents", "-s", "coder", stdin="some context")
    assert ended.returncode == 0
    told = shared.run("sessions", "transcript", "coder", "--last", "4").stdout
    assert "some context" in told
    assert shared.run("chat", "-p", "-", stdin="Use list_agents").returncode == 0
    assert shared.run("chat", stdin="Use list_agents").returncode == 0
    assert shared.run("chat", "-p", "-", stdin=" \n").returncode == 2


def test_an_unknown_session_names_the_nearest(shared: Home) -> None:
    """Exit 5, with the id that was probably meant."""
    ended = shared.run("chat", "-s", "reseacher", "-p", "hi")
    assert ended.returncode == 5
    assert "researcher" in ended.stderr
    document = json.loads(shared.run("chat", "-s", "nobody", "-p", "hi", "--json").stdout)
    assert document["error"]["code"].endswith("not_found") or document["error"]["code"]


def test_new_begins_another_conversation(shared: Home) -> None:
    """--new leaves what was said before behind."""
    shared.run("chat", "-p", "first line")
    shared.run("chat", "--new", "-p", "second line")
    told = shared.run("sessions", "transcript", "default").stdout
    assert "second line" in told
    assert "first line" not in told
    assert shared.run("chat", "--new", "-c", "-p", "x").returncode == 2


def test_a_held_provider_is_6(home: Home) -> None:
    """A session whose provider cannot be used ends with 6 and names the template or its key."""
    home.run("start")
    made = home.run("sessions", "create", "paid", "-t", "openai")
    if made.returncode == 0:
        ended = home.run("chat", "-s", "paid", "-p", "hello")
        assert ended.returncode == 6, ended
        assert ended.stdout == ""
        assert "OPENAI_API_KEY" in ended.stderr
    else:
        assert "OPENAI_API_KEY" in made.stderr


def test_a_cost_limit_needs_a_price(home: Home, silent_port: int) -> None:
    """--max-cost is refused with 2, and nothing asked, when what the model costs is not known."""
    home.silence(silent_port)
    ended = home.run("chat", "-p", "hello", "--max-cost", "1")
    assert ended.returncode == 2, ended
    assert "prices" in ended.stderr
    assert home.json("sessions", "show", "default")["turn"] is None
    config = json.loads((home.path / "config.json").read_text())
    config["providerTemplates"]["silent"]["prices"] = {"m": {"input": 1, "output": 1}}
    (home.path / "config.json").write_text(json.dumps(config))
    home.run("restart")
    ended = home.run("chat", "-p", "hello", "--max-cost", "1", "--timeout", "1")
    assert ended.returncode == 7, ended


def test_the_time_limit_is_7(home: Home, silent_port: int) -> None:
    """--timeout ends the wait with 7 and stops the turn."""
    home.silence(silent_port)
    began = time.monotonic()
    ended = home.run("chat", "-p", "hello", "--timeout", "1")
    assert ended.returncode == 7, ended
    assert time.monotonic() - began < 10
    assert home.json("sessions", "show", "default")["turn"] is None


def test_an_interruption_is_130(home: Home, silent_port: int) -> None:
    """SIGINT stops the turn and ends with 130; SIGTERM with 143."""
    home.silence(silent_port)
    home.run("start")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        words = ("chat", "-p", "hello", "--output", "stream-json")
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        with home.started(*words, **streams) as process:
            assert process.stdout is not None
            assert any('"run_started"' in line for line in process.stdout)
            process.send_signal(number)
            assert process.wait(LIMIT) == code
        assert home.json("sessions", "show", "default")["turn"] is None
