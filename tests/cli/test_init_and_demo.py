"""A home to begin with, and sessions at work."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clawd.cli.config_text import with_first_template
from clawd.cli.detect import OFFLINE, Offer, offers
from clawd.cli.quiet import Quiet
from clawd.config.examples import example
from clawd.config.loader import load

if TYPE_CHECKING:
    from tests.cli.conftest import Home


def test_init_writes_a_home_that_works(home: Home) -> None:
    """Configuration, schema and workspaces are there and valid; no daemon is left running."""
    written = (home.path / "config.json").read_text()
    assert re.findall(r'"\$schema": "\./(.*)"', written) == ["config.schema.json"]
    json.loads((home.path / "config.schema.json").read_text())
    assert (home.path / "workspaces" / "default" / "IDENTITY.md").read_text().strip()
    assert home.json("config", "validate")["ok"]
    assert home.json("doctor")["ok"]
    assert home.run("status").returncode == 4


def test_init_names_and_proves_its_choice(tmp_path: Path, home: Home) -> None:
    """What was chosen is said, and proved by one real call."""
    ended = home.run("init", str(tmp_path / "other"), "--provider", "offline")
    assert "model: Offline (built in), answered in " in ended.stdout
    assert f"clawd chat --home {tmp_path / 'other'}" in ended.stdout
    document = home.json("init", str(tmp_path / "third"))
    assert document["offline"] is True
    assert document["proof"]["ok"] is True
    assert len(document["workspaces"]) == 3


def test_init_changes_no_configuration(home: Home) -> None:
    """A second init refuses; with a provider it prints what to put into the file."""
    before = (home.path / "config.json").read_bytes()
    assert home.run("init").returncode == 2
    ended = home.run("init", "--provider", "offline")
    assert '"endpoint": "offline:"' in ended.stdout
    assert (home.path / "config.json").read_bytes() == before
    unknown = home.run("init", "--provider", "nonsense")
    assert unknown.returncode == 2
    assert "offline" in unknown.stderr
    assert "did you mean openai?" in home.run("init", "--provider", "openia").stderr


def test_init_takes_a_key_only_when_asked(tmp_path: Path, home: Home) -> None:
    """Without --provider a key in the environment is named and not used; with auto it is used."""
    home.environment["OPENAI_API_KEY"] = "sk-canary-0001"
    named = home.run("init", str(tmp_path / "a"), "--json")
    assert "--provider openai" in named.stderr
    assert json.loads(named.stdout)["offline"] is True
    used = home.run("init", str(tmp_path / "b"), "--provider", "auto")
    assert "model: OpenAI (OPENAI_API_KEY is set)" in used.stdout
    assert "sk-canary-0001" not in used.stdout + used.stderr
    assert "sk-canary-0001" not in (tmp_path / "b" / "config.json").read_text()


def test_the_example_names_no_file_that_a_clone_lacks() -> None:
    """A clone that is a home has no schema: `clawd init` writes one, and names it."""
    assert "$schema" not in example()


def listening(port: int) -> tuple[str, ...]:
    """Models of a machine on which only Ollama answers."""
    return ("qwen3", "llama3") if port == 11434 else ()


def test_offers_are_ordered() -> None:
    """Keys first, then local servers, then the built-in model; a key's value is in none."""
    found = offers({"OPENROUTER_API_KEY": "sk-canary", "OPENAI_API_KEY": ""}, listening)
    assert [offer.id for offer in found] == ["openrouter", "ollama", "offline"]
    assert found[1].models == ("qwen3", "llama3")
    assert "sk-canary" not in str([(offer.as_json(), offer.template()) for offer in found])
    assert offers({}, lambda port: ())[0] is OFFLINE


@pytest.mark.parametrize(
    "offer",
    [
        Offer("openai", "OpenAI", "", "https://api.openai.com/v1", ("gpt-4o",), "OPENAI_API_KEY"),
        Offer("openrouter", "OpenRouter", "", "https://openrouter.ai/api/v1", ("a/b",), "X_KEY"),
        Offer("ollama", "Ollama", "", "http://127.0.0.1:11434/v1", ("llama3",)),
        Offer("vllm", "vLLM", "", "http://127.0.0.1:8000/v1", ("m",)),
    ],
)
def test_the_chosen_template_comes_first(tmp_path: Path, offer: Offer) -> None:
    """The configuration stays valid, keeps its comments, and sessions use the chosen template."""
    text = with_first_template(example(), offer.id, offer.template())
    (tmp_path / "config.json").write_text(text)
    checked = load(tmp_path, {**os.environ, "OPENAI_API_KEY": "x", "X_KEY": "x"})
    config = checked.require()
    assert next(iter(config.provider_templates)) == offer.id
    template = config.template_of(config.sessions["default"])
    assert (template.id, template.endpoint) == (offer.id, offer.endpoint)
    assert set(offer.models) <= set(template.available_models)
    assert text.count("//") >= example().count("//") - 2


def test_demo(home: Home) -> None:
    """The four examples and the workflow run; mailboxes, tasks and workspaces are shown."""
    ended = home.run("demo")
    assert ended.returncode == 0, ended
    for wanted in (
        "Send a message", "Delegate a task", "Create a session", "Read messages",
        "Hello from Claw!", "Session analyzer is running", "researcher → coder · completed",
        "default → researcher · completed", "mailboxes:", "tasks:", "workspaces:",
        '"from":"default","to":"researcher","content":"Hello from Claw!"',
    ):  # fmt: skip
        assert wanted in ended.stdout, wanted
    place = Path(ended.stderr.split("home ")[1].split(")")[0])
    assert not place.exists()


def test_demo_as_a_document(home: Home) -> None:
    """With --json: the steps with their answers, and all that was made."""
    document = home.json("demo")
    assert document["ok"] is True
    assert len(document["steps"]) == 5
    assert {task["status"] for task in document["tasks"]} == {"completed"}
    assert set(document["workspaces"]) == {"default", "researcher", "coder", "analyzer"}
    assert all(message["read"] for message in document["messages"])


def test_quiet_knows_what_is_under_way() -> None:
    """Not before the turn, its task, the verdict and the turn that this wakes have ended."""
    quiet = Quiet("t1")
    task: dict[str, Any] = {"id": "k", "fromSession": "a", "toSession": "b", "status": "pending"}
    mail: dict[str, Any] = {"id": "m", "to": "a", "threadId": "k", "state": "stored", "read": False}
    steps: list[tuple[str, dict[str, Any], bool]] = [
        ("task_updated", {"task": task}, False),
        ("run_finished", {"run_id": "t1"}, False),
        ("run_started", {"run_id": "t2"}, False),
        ("run_finished", {"run_id": "t2"}, False),
        ("task_updated", {"task": {**task, "status": "completed"}}, False),
        ("session_message", {"message": mail}, False),
        ("run_started", {"run_id": "t3"}, False),
        ("session_message", {"message": {**mail, "state": "read", "read": True}}, False),
        ("run_finished", {"run_id": "t3"}, True),
    ]
    for name, fields, over in steps:
        assert quiet.take({"event": name, **fields}) is over, (name, fields)
