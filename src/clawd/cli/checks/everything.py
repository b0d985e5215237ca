"""All checks, in the order in which a human would mend."""

from __future__ import annotations

import os
from collections.abc import Iterator

from clawd.cli.checks import files
from clawd.cli.checks.check import Check
from clawd.cli.checks.commands import commands
from clawd.cli.checks.daemon import daemon
from clawd.cli.checks.machine import machine
from clawd.cli.checks.mcp import mcp
from clawd.cli.checks.memory import memory
from clawd.cli.checks.providers import providers
from clawd.cli.client import Client
from clawd.config.loader import load


def run_checks(client: Client, *, fix: bool) -> Iterator[Check]:
    """Each finding as it is made; with ``fix`` what is safe to mend is mended."""
    home = client.home
    checked = load(home, os.environ)
    yield from machine(home)
    yield from files.folders(home, fix)
    yield from files.configuration(checked)
    yield from files.workspaces(client, checked)
    yield from files.logs(home)
    if checked.config is not None:
        yield from providers(checked.config)
        yield from commands(checked.config)
        yield from memory(checked.config)
        yield from mcp(checked.config, client)
    yield from daemon(client, fix)
