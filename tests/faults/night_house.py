"""The home of the scripted night: fifty sessions, four endpoints, and limits that are reached."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

RINGS = {
    "ring2": ("ring2a", "ring2b"),
    "ring3": ("ring3a", "ring3b", "ring3c"),
    "ring5": ("ring5a", "ring5b", "ring5c", "ring5d", "ring5e"),
}
"""Sessions that always pass on what they get, to the next of their ring."""
RING = [name for ring in RINGS.values() for name in ring]
FANS = ["fan1", "fan2"]
WORKERS = [f"work{n}" for n in range(1, 13)]
LEADS = ["lead1", "lead2", "lead3"]
MIDDLES = [f"mid{n}" for n in range(1, 7)]
FLOODS = ["flood1", "flood2"]
SINK = "sink1"
MAKERS = ["maker1", "maker2"]
FRAIL = [f"frail{n}" for n in range(1, 9)]
BACKED = ["backed1", "backed2"]
LOCKED = "locked1"
DESK = "desk"
ALL = [DESK, *RING, *FANS, *WORKERS, *LEADS, *MIDDLES, *FLOODS, SINK]
ALL += [*MAKERS, *FRAIL, *BACKED, LOCKED]
assert len(ALL) == 50

ROUGH = {*WORKERS[4:8], *MIDDLES[3:], *FRAIL[4:]}
"""Those behind the TCP fault proxy."""
FLAKY = {*WORKERS[8:], *FRAIL[:4], *BACKED}
"""Those whose endpoint fails in every way at random."""

BUDGETED = "work1"
DAY_TOKENS = 12_000
"""What ``BUDGETED`` may use in a day; each of its model calls takes 110 by its endpoint's count."""

LOG_BYTES = 1024 * 1024
LOG_KEEP = 3
MAX_HOPS = 24
MAX_PAIR = 20


def template_of(session: str) -> str:
    """The provider template that serves a session."""
    if session in ROUGH:
        return "rough"
    if session in FLAKY:
        return "flaky"
    return "locked" if session == LOCKED else "healthy"


def house(url: str, rough_url: str, *, guest: bool = False, edition: int = 0) -> JSON:
    """The configuration; ``guest`` adds a session, ``edition`` changes a description and a limit.

    Waits are those of a hurried operator: a model call ends after 3 s, a finished task is
    forgotten after 90 s, logs rotate at 1 MiB.
    """
    names = [*ALL, "guest", "temp"]
    templates = {
        name: {
            "endpoint": endpoint,
            "apiKey": "sk-canary-0123456789",
            "availableModels": names,
            "defaultModel": "temp",
            "maxConcurrency": 32,
            "timeoutSeconds": seconds,
            "contextWindow": 16_000,
        }
        for name, endpoint, seconds in (
            ("healthy", url, 20),
            ("rough", rough_url, 3),
            ("flaky", url, 3),
            ("locked", url, 3),
        )
    }
    sessions: JSON = {
        name: {
            "description": f"The {name}, edition {edition}" if name == "fan2" else f"The {name}",
            "provider": {"template": template_of(name), "model": name},
        }
        for name in [*ALL, *(["guest"] if guest else [])]
    }
    for name in BACKED:
        sessions[name]["provider"]["fallback"] = "healthy"
    for name in FLOODS:
        sessions[name]["limits"] = {"sendsPerMinute": 60, "maxModelCallsPerTurn": 12}
    for name in (*MAKERS, "guest") if guest else MAKERS:
        sessions[name]["limits"] = {"maxSessionsPerHour": 100_000}
    sessions[BUDGETED]["limits"] = {"maxTokensPerDay": DAY_TOKENS}
    sessions[SINK] |= {"a2a": {"wakeOnMessage": False}, "limits": {"maxUnread": 400}}
    return {
        "providerTemplates": templates,
        "sessions": sessions,
        "limits": {
            "maxHops": MAX_HOPS,
            "maxMessagesPerPair": MAX_PAIR,
            "maxAutonomousTurnsPerHour": 1_000_000,
            "sendsPerMinute": 6_000,
            "maxSessionsAlive": 12,
            "maxTurns": 48 + edition % 2,
        },
        "retention": {"tasksHours": 0.025},
        "log": {"maxBytes": LOG_BYTES, "keep": LOG_KEEP},
    }
