#!/usr/bin/env python3
"""Check a configuration: structure, A2A, ACA, provider templates, workspaces, keys.

    .venv/bin/python scripts/validate_config.py [PATH]

PATH is a configuration file or a home folder; without it, the home as `clawd` finds it. Exit 0
when the configuration can be used (warnings may remain), else 1.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clawd.config.loader import Checked, load
from clawd.config.schema import Config


def main(arguments: list[str]) -> int:
    """Print what is there and what is wrong; 0 or 1."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(__doc__)
        return 0
    if len(arguments) > 1:
        print("one PATH at most: validate_config.py [PATH]", file=sys.stderr)
        return 1
    path = Path(arguments[0]) if arguments else _home()
    checked = load(path, os.environ)
    for problem in checked.problems:
        print(f"{problem.severity}: {problem}", file=sys.stderr)
    for key in checked.inactive:
        print(f"note: {key}: accepted, but this part is not built yet", file=sys.stderr)
    if checked.config is not None:
        _print_counts(checked.config)
    print(_verdict(checked))
    return 1 if checked.config is None else 0


def _home() -> Path:
    if os.environ.get("CLAWD_HOME"):
        return Path(os.environ["CLAWD_HOME"])
    return Path() if Path("config.json").is_file() else Path.home() / ".clawd"


def _print_counts(config: Config) -> None:
    sessions = list(config.sessions.values())
    enabled = [session for session in sessions if session.enabled]
    talking = [session for session in enabled if session.a2a.enabled]
    hidden = [session for session in talking if session.a2a.hidden_from_agents]
    curious = [session for session in enabled if session.aca.enabled]
    keyed = [each for each in config.provider_templates.values() if each.api_key is not None]
    print(f"provider templates: {len(config.provider_templates)} ({len(keyed)} with a key)")
    print(f"sessions: {len(sessions)} ({len(enabled)} enabled)")
    print(f"A2A: {len(talking)} enabled ({len(hidden)} hidden)")
    print(f"ACA: {len(curious)} enabled")
    print(f"workspaces: {len({session.workspace for session in sessions})}")


def _verdict(checked: Checked) -> str:
    errors, warnings = len(checked.errors), len(checked.warnings)
    state = "valid" if checked.config is not None else "invalid"
    return f"{state}: {errors} error{_s(errors)}, {warnings} warning{_s(warnings)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
