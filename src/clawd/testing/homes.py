"""Homes for black-box tests: a folder with a configuration, and a daemon on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

JSON = dict[str, Any]


def write_config(home: Path, config: JSON) -> None:
    """Save a configuration as an editor does: whole, in place of the old one."""
    unfinished = home / ".config.json.new"
    unfinished.touch(0o600)
    unfinished.write_text(json.dumps(config, indent=1), encoding="utf-8")
    unfinished.replace(home / "config.json")


def scripted(url: str, *sessions: str, **more: Any) -> JSON:
    """A configuration whose sessions are answered by a scripted model.

    Each session uses the model of its own name, so that a test can script them one by one.
    ``more`` are further keys of the configuration, or the sessions' own settings by id.
    """
    template = {
        "name": "Scripted",
        "endpoint": url,
        "apiKey": "sk-canary-0123456789",
        "availableModels": [*sessions, "spare"],
        "defaultModel": "spare",
        "maxConcurrency": 64,
    }
    entries = {
        name: {
            "description": f"The {name}",
            "provider": {"template": "scripted", "model": name},
            **more.pop(name, {}),
        }
        for name in sessions
    }
    return {"providerTemplates": {"scripted": template}, "sessions": entries, **more}


def lines_of(path: Path) -> list[JSON]:
    """The records of a JSONL file, every line of which must parse."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def latest(path: Path) -> list[JSON]:
    """The records of a log as a fold sees them: the last line for each id."""
    return list({line["id"]: line for line in lines_of(path)}.values())
