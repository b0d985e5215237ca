"""What one session may do to another: the first rule of the target's list decides, else a default.

There are six rights. ``list``: see it in lists, searches, prompts, broadcasts and suggestions.
``read``: its latest outputs. ``send``: messages to it. ``wake``: a message starts a turn of it;
without this right the message waits until it looks. ``delegate``: tasks for it. ``create``: have
it create sessions, in a turn that a message or task of the other started.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Literal, Protocol, get_args

from clawd.config.session import Right

RIGHTS: tuple[Right, ...] = get_args(Right)

Default = Literal["same_organization", "other_organization"]


class Rule(Protocol):
    """One entry of ``a2a.access`` (`clawd.config.session.AccessRule`)."""

    @property
    def from_(self) -> str:
        """A pattern over ids."""
        ...

    @property
    def organization(self) -> str | None:
        """A pattern over organizations; None is the target's own."""
        ...

    @property
    def rights(self) -> Sequence[Right]:
        """The rights that it decides."""
        ...

    @property
    def allow(self) -> bool:
        """What it decides."""
        ...


class Party(Protocol):
    """A session, as far as rights go by it."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def organization(self) -> str:
        """Where it belongs."""
        ...

    @property
    def creators(self) -> tuple[str, ...]:
        """The sessions that made it, and made those; the nearest first."""
        ...

    @property
    def access(self) -> Sequence[Rule]:
        """Its own list: who may do what to it."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a right is given; ``rule`` counts in the target's list from 0, None is the default.

    ``asked`` is who the rule was asked about: the session itself, or a creator of it that may not.
    """

    allowed: bool
    rule: int | None
    asked: str
    default: Default = "same_organization"


def may(viewer: Party, target: Party, right: Right) -> bool:
    """Whether the target's rules, or the default, let the viewer do this."""
    if not target.access:
        return viewer.organization == target.organization
    return decide(viewer, target, right).allowed


def decide(viewer: Party, target: Party, right: Right) -> Decision:
    """Whether the viewer may do this, and what says so.

    A session that another one made gets no further than its maker: all of them must be allowed.
    """
    own = _decide(viewer.id, viewer.organization, target, right)
    if not own.allowed:
        return own
    for creator in viewer.creators:
        if creator != target.id:
            above = _decide(creator, viewer.organization, target, right)
            if not above.allowed:
                return above
    return own


def _decide(asked: str, organization: str, target: Party, right: Right) -> Decision:
    same = organization == target.organization
    for number, rule in enumerate(target.access):
        if right not in rule.rights or not _matches(rule.from_, asked):
            continue
        if same if rule.organization is None else _matches(rule.organization, organization):
            return Decision(rule.allow, number, asked)
    return Decision(same, None, asked, "same_organization" if same else "other_organization")


def _matches(pattern: str, text: str) -> bool:
    return pattern == "*" or _compiled(pattern).match(text) is not None


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
