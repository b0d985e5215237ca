"""What a call needs, by the operator's patterns and by what the turn has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clawd.agent.tool import Answer, Declaration, Tool
from clawd.agent.trust import Trust
from clawd.agent.workbench import Workbench
from clawd.approvals.policy import judge, power_of
from clawd.approvals.review import in_order
from clawd.config.schema import SessionSettings
from clawd.lineage import begin


def bench(workspace: Path, *, marked: bool = False, **tools: Any) -> Workbench:
    """A turn in a workspace, which has read from outside or not."""
    settings = SessionSettings.model_validate({"id": "a", "tools": tools})
    trust = Trust(["web_fetch"] if marked else [])
    return Workbench("a", workspace, settings, begin(), "turn-1", trust=trust)


@pytest.mark.parametrize(
    "path",
    [
        "MEMORY.md", "memory.md", "./x/../MEMORY.md", "MEMORY.md/", "link.md", "folder/../SOUL.md",
        "Identity.MD", "inside/SOUL.md", "USER.md",
    ],
)  # fmt: skip
def test_every_way_to_an_identity_file_is_one(path: str, tmp_path: Path) -> None:
    """Other cases, detours and links are the same file."""
    (tmp_path / "MEMORY.md").write_text("")
    (tmp_path / "USER.md").symlink_to("elsewhere.txt")
    (tmp_path / "link.md").symlink_to("MEMORY.md")
    (tmp_path / "inside").symlink_to(".")
    for tool in ("write_file", "edit_file", "delete_file"):
        assert power_of(bench(tmp_path), tool, {"path": path}) == "identity"


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("write_file", {"path": "notes.md"}),
        ("write_file", {"path": "docs/MEMORY.md"}),
        ("write_file", {"path": "bad\0name"}),
        ("read_file", {"path": "MEMORY.md"}),
        ("exec", {"command": "ls", "network": False}),
        ("send_message_to_session", {"target_session": "b"}),
    ],
)
def test_what_is_no_power(tool: str, given: dict[str, Any], tmp_path: Path) -> None:
    """Other files, reading, commands without network and messages go on as before."""
    assert power_of(bench(tmp_path), tool, given) is None
    assert judge(bench(tmp_path, marked=True), tool, given).decision == "allow"


def test_every_command_without_a_sandbox_has_the_network(tmp_path: Path) -> None:
    """Whatever the call says, a marked turn needs a yes for it."""
    bare = bench(tmp_path, marked=True, exec=True, execSandbox="none")
    assert judge(bare, "exec", {"command": "ls"}).decision == "ask"
    assert judge(bare, "exec_start", {"command": "ls", "network": False}).decision == "ask"
    assert judge(bare, "exec_read", {"id": "exec-1"}).decision == "allow"


def test_a_marked_turn_needs_a_yes_for_its_powers(tmp_path: Path) -> None:
    """Whatever a pattern allows; unless the operator named the power, and never past a deny."""
    call = ("create_session", {"session_id": "x"})
    assert judge(bench(tmp_path), *call).decision == "allow"
    asked = judge(bench(tmp_path, marked=True, approval={"*": "allow"}), *call)
    assert (asked.decision, asked.rule) == ("ask", "")
    assert "web_fetch" in asked.why
    named = bench(tmp_path, marked=True, after_untrusted=["create_session"])
    assert judge(named, *call).decision == "allow"
    denied = bench(tmp_path, marked=True, approval={"create_session": "deny"})
    assert judge(denied, *call).decision == "deny"


@pytest.mark.parametrize(
    ("path", "decision"),
    [
        ("secret/x", "deny"),
        ("./secret/x", "deny"),
        ("notes/../secret/x", "deny"),
        ("link/x", "deny"),
        ("{workspace}/secret/x", "deny"),
        ("notes/x", "allow"),
        ("./notes//x", "allow"),
        ("notes/../other/x", "ask"),
        ("{workspace}/notes/x", "allow"),
    ],
)
def test_a_path_fits_however_it_is_written(path: str, decision: str, tmp_path: Path) -> None:
    """Detours and links lead round no pattern: what is let through is inside of it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "link").symlink_to("secret")
    patterns = {"write_file(secret/*)": "deny", "write_file(notes/*)": "allow", "*": "ask"}
    given = {"path": path.format(workspace=tmp_path), "content": "x"}
    assert judge(bench(tmp_path, approval=patterns), "write_file", given).decision == decision


def test_the_tool_says_which_parameter_is_first() -> None:
    """And not the model, which may write the arguments of a tool of elsewhere in any order."""
    schema = {"properties": {"to": {"type": "string"}, "text": {"type": "string"}}}
    declaration = Declaration("mail__send", "", None, schema, 60.0)

    async def send(**given: Any) -> Answer:
        return Answer(str(given))

    given = in_order(Tool(declaration, send), {"text": "me@home", "to": "them@elsewhere", "x": 1})
    assert [*given] == ["to", "text", "x"]
    assert next(iter(in_order(Tool(declaration, send), {"text": "me@home"}))) == "to"
