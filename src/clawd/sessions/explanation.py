"""Why one session may or may not do something to another: the answer of ``clawd explain``.

It asks what every call asks (`clawd.comms.rights`), in the same order, and says what decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clawd.comms import rights
from clawd.comms.directory import Directory, Entry
from clawd.config.problem import Path
from clawd.config.schema import SessionSettings
from clawd.config.session import Right
from clawd.ids import OPERATOR
from clawd.sessions.permission import permitted

_TOOLS: dict[Right, str] = {
    "list": "list_agents",
    "read": "get_session_outputs",
    "send": "send_message_to_session",
    "wake": "send_message_to_session",
    "delegate": "delegate_task_async",
}
_NEEDED: dict[Right, tuple[Right, ...]] = {"read": ("list", "read"), "wake": ("send", "wake")}


@dataclass(frozen=True, slots=True)
class Explained:
    """One right, and what decides it: ``path`` leads to it in the configuration; () is a default.

    ``why`` is a phrase for people.
    """

    right: Right
    allowed: bool
    why: str
    path: Path = ()


def explain(
    directory: Directory, viewer: SessionSettings | None, target: SessionSettings | None
) -> list[Explained]:
    """Every right that ``viewer`` has over ``target``; None is the operator."""
    if target is None:
        return [_over_the_operator(right) for right in rights.RIGHTS]
    return [_explained(directory, right, viewer, target) for right in rights.RIGHTS]


def _explained(
    directory: Directory, right: Right, viewer: SessionSettings | None, target: SessionSettings
) -> Explained:
    for why, path in _denials(directory, right, viewer, target):
        return Explained(right, False, why, path)
    entries = _entries(directory, viewer, target)
    if entries is None:
        return Explained(right, True, "the operator may do everything")
    decision = rights.decide(*entries, right)
    if decision.rule is None:
        return Explained(right, True, "by default, within an organization")
    return Explained(right, True, "a rule allows it", _rule(target, decision.rule))


def _denials(
    directory: Directory, right: Right, viewer: SessionSettings | None, target: SessionSettings
) -> Iterator[tuple[str, Path]]:
    """What stands in the way, in the order in which a call finds it."""
    at: Path = ("sessions", target.id)
    if viewer is not None:
        own: Path = ("sessions", viewer.id)
        if not viewer.a2a.enabled:
            yield f"{viewer.id} has A2A switched off", (*own, "a2a", "enabled")
        tool = _TOOLS.get(right)
        if tool is not None and not permitted(viewer.tools, tool):
            key = "deny" if viewer.tools.deny else "allow"
            yield f"{viewer.id} may not use {tool}", (*own, "tools", key)
    if (entries := _entries(directory, viewer, target)) is not None:
        for each in _NEEDED.get(right, (right,)):
            decision = rights.decide(*entries, each)
            if not decision.allowed:
                yield _no(each, right, decision, entries, target)
        if not target.a2a.enabled:
            yield f"{target.id} has A2A switched off", (*at, "a2a", "enabled")
        if right in ("list", "read") and target.a2a.hidden_from_agents:
            yield f"{target.id} is hidden from sessions", (*at, "a2a", "hiddenFromAgents")
    if right == "create" and not permitted(target.tools, "create_session"):
        key = "deny" if target.tools.deny else "allow"
        yield f"{target.id} may not use create_session", (*at, "tools", key)
    if not target.enabled and (viewer is not None or right not in ("list", "read")):
        yield f"{target.id} is disabled", (*at, "enabled")
    if right == "wake" and not target.a2a.wake_on_message:
        yield f"{target.id} reads its mail by itself", (*at, "a2a", "wakeOnMessage")


def _no(
    asked: Right,
    right: Right,
    decision: rights.Decision,
    entries: tuple[Entry, Entry],
    target: SessionSettings,
) -> tuple[str, Path]:
    about = "" if asked == right else f", and {right} needs {asked}"
    maker = "" if decision.asked == entries[0].id else f" for {decision.asked}, which made it"
    if decision.rule is not None:
        return f"a rule denies it{maker}{about}", _rule(target, decision.rule)
    pair = f"{entries[0].organization!r} and {entries[1].organization!r}"
    return f"by default, across organizations: {pair}{maker}{about}", ()


def _entries(
    directory: Directory, viewer: SessionSettings | None, target: SessionSettings
) -> tuple[Entry, Entry] | None:
    """The two as the rules know them; None for the operator, whom no rule is about."""
    if viewer is None:
        return None
    own, entry = directory.get(viewer.id), directory.get(target.id)
    return (own, entry) if own is not None and entry is not None else None


def _rule(target: SessionSettings, number: int) -> Path:
    return ("sessions", target.id, "a2a", "access", number)


def _over_the_operator(right: Right) -> Explained:
    if right in ("send", "delegate"):
        return Explained(right, True, f"a session may always {right} to its human")
    return Explained(right, False, f"{OPERATOR} is a human, not a session")
