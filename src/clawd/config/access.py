"""Whether the rules of ``a2a.access`` can do what their writer meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from clawd.config.problem import Path
from clawd.config.schema import AccessRule, Config, SessionSettings
from clawd.config.structure import Finding
from clawd.nearest import nearest

_PATTERN = re.compile(r"[A-Za-z0-9_*?\[\]!-]+")
_WILD = frozenset("*?[")


def check_access(config: Config, session: SessionSettings) -> Iterator[Finding]:
    """What is wrong with the list of one session: patterns and rules that never decide."""
    before: list[AccessRule] = []
    for number, rule in enumerate(session.a2a.access):
        at: Path = ("sessions", session.id, "a2a", "access", number)
        yield from _pattern((*at, "from"), rule, session, config)
        covering = next((i for i, earlier in enumerate(before) if _covers(earlier, rule)), None)
        if covering is not None:
            yield Finding(
                at,
                f"never decides: access[{covering}] matches first, for all that it names",
                f"Move it before access[{covering}], or remove it",
                "warning",
            )
        before.append(rule)


def _pattern(
    at: Path, rule: AccessRule, session: SessionSettings, config: Config
) -> Iterator[Finding]:
    shown = ascii(rule.from_ if len(rule.from_) <= 80 else rule.from_[:80] + "…")
    if rule.from_ == "operator":
        yield Finding(at, "'operator' is you, who may do everything", "Name sessions")
    elif _PATTERN.fullmatch(rule.from_) is None:
        yield Finding(
            at,
            f"{shown} matches no session id",
            'Write an id, or a pattern with *, ? or [a-z], such as "team-*"',
        )
    elif rule.from_ == session.id:
        yield Finding(at, f"{shown} is this session itself", "Name another one", "warning")
    elif _WILD.isdisjoint(rule.from_) and rule.from_ not in config.sessions:
        close = nearest(rule.from_, config.sessions, cutoff=0.7)
        yield Finding(
            at,
            f"there is no session {shown} in this file",
            f"Did you mean '{close}'?" if close else "It counts for one made at run time",
            "warning",
        )


def _covers(earlier: AccessRule, later: AccessRule) -> bool:
    """Whether whoever ``later`` is about has been decided by ``earlier``."""
    who = earlier.from_ in ("*", later.from_) or (
        _WILD.isdisjoint(later.from_) and fnmatchcase(later.from_, earlier.from_)
    )
    where = earlier.organization in ("*", later.organization)
    return who and where and set(later.rights) <= set(earlier.rights)
