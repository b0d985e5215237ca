"""Editing the configuration of a running daemon as its operator does."""

from __future__ import annotations

import json

from clawd.testing.daemon import JSON, RunningDaemon
from clawd.testing.homes import write_config

SECONDS = 2.0
"""How long an edit may take until it is in force."""


def read_config(daemon: RunningDaemon) -> JSON:
    """The configuration as it stands in the file."""
    found: JSON = json.loads((daemon.home / "config.json").read_text(encoding="utf-8"))
    return found


async def reloaded(daemon: RunningDaemon, config: JSON) -> JSON:
    """Save a configuration and wait, two seconds at most, until it is in force."""
    seen = len(daemon.named("notice"))
    write_config(daemon.home, config)
    return await noticed(daemon, "config_reloaded", seen)


async def noticed(daemon: RunningDaemon, code: str, seen: int) -> JSON:
    """The first notice with this code behind those that were seen."""
    return await daemon.until(
        lambda e: e.get("code") == code and e in daemon.named("notice")[seen:], seconds=SECONDS
    )
