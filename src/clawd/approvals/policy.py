"""Whether a call may run, needs a yes, or may not: the operator's patterns, and what was read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args

from clawd.agent.workbench import Workbench
from clawd.config.patterns import COMMANDS, read
from clawd.config.session import IdentityFile
from clawd.messages import JSON
from clawd.storage.workspace import identity_file

Power = Literal["create_session", "identity", "exec_network"]

_IDENTITY = frozenset(name.casefold() for name in get_args(IdentityFile))
_WRITING = frozenset({"write_file", "edit_file", "delete_file"})
_FILES = _WRITING | {"read_file", "list_dir", "find_files", "search_text"}
_WHAT: dict[Power, str] = {
    "create_session": "creates a session",
    "identity": "writes an identity file",
    "exec_network": "runs a command with network",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a call, why, and by which pattern."""

    decision: Literal["allow", "ask", "deny"]
    why: str = ""
    rule: str = ""


def judge(bench: Workbench, tool: str, given: JSON) -> Verdict:
    """Whether a session may make this call in this turn."""
    found = _by_pattern(bench, tool, given)
    if found.decision == "deny":
        return found
    power = power_of(bench, tool, given)
    if power and bench.trust.untrusted and power not in bench.settings.tools.after_untrusted:
        sources = ", ".join(bench.trust.sources[:3])
        return Verdict("ask", f"it {_WHAT[power]} after this turn has read from outside: {sources}")
    return found


def power_of(bench: Workbench, tool: str, given: JSON) -> Power | None:
    """The power that a call makes use of, of those that a turn gives up by reading from outside."""
    if tool == "create_session":
        return "create_session"
    bare = bench.settings.tools.exec_sandbox == "none"
    # Without a sandbox every command has the network, asked for or not.
    if tool in COMMANDS and (bare or given.get("network")):
        return "exec_network"
    if tool in _WRITING and is_identity(bench, str(given.get("path", ""))):
        return "identity"
    return None


def is_identity(bench: Workbench, path: str) -> bool:
    """Whether a path names an identity file of the session, or links lead from it to one."""
    if "\0" in path:
        return False
    if identity_file(path, bench.workspace):
        return True
    real = os.path.realpath(os.path.join(bench.workspace, path))
    folder, name = os.path.split(real)
    return name.casefold() in _IDENTITY and folder == os.path.realpath(bench.workspace)


def _by_pattern(bench: Workbench, tool: str, given: JSON) -> Verdict:
    plain, *others = _spelt(bench, tool, given)
    for text, decision in bench.settings.tools.approval.items():
        allows = decision == "allow"
        # What is let through must fit as it is meant; what is not, in any way to write it.
        ways = (plain,) if allows else (plain, *others)
        if any(read(text).fits(tool, way, allows=allows) for way in ways):
            return Verdict(decision, f"tools.approval has {text!r}: {decision}", text)
    return Verdict("allow")


def _spelt(bench: Workbench, tool: str, given: JSON) -> list[JSON]:
    """A call with its path as plain as it can be, as it was written, and where links lead."""
    path = given.get("path")
    if tool not in _FILES or not isinstance(path, str) or not path or "\0" in path:
        return [given]
    root = os.path.realpath(bench.workspace)
    whole = os.path.normpath(os.path.join(bench.workspace, path))
    plain = os.path.relpath(whole, bench.workspace)
    real = os.path.relpath(os.path.realpath(os.path.join(root, path)), root)
    return [given | {"path": way} for way in dict.fromkeys((plain, path, real))]
