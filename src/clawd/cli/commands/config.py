"""``clawd config``: validate, schema, show, path, diff."""

from __future__ import annotations

import json
import os
from typing import Any

from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.errors import ConfigError, DaemonUnreachable


@command("path", "clawd config path", "$EDITOR $(clawd config path)")
@pass_invocation
def path(invocation: Invocation) -> None:
    """Where the configuration is."""
    file = str(invocation.home / "config.json")
    invocation.report({"schema": "clawd.configPath/1", "path": file}, file)


@command("validate", "clawd config validate", "clawd config validate --json")
@pass_invocation
def validate(invocation: Invocation) -> int:
    """Check config.json: every problem with its place and mend; exit 3 when one is an error."""
    from clawd.config.loader import load

    found = load(invocation.home, os.environ)
    out = invocation.out
    sessions = len(found.config.sessions) if found.config else 0
    templates = len(found.config.provider_templates) if found.config else 0
    if out.as_json:
        out.document(
            {
                "schema": "clawd.validation/1",
                "ok": not found.errors,
                "sessions": sessions,
                "templates": templates,
                "problems": [
                    {
                        "path": problem.path,
                        "line": problem.line,
                        "column": problem.column,
                        "severity": problem.severity,
                        "message": problem.message,
                        "hint": problem.hint,
                    }
                    for problem in found.problems
                ],
                "inactive": found.inactive,
            }
        )
    else:
        for problem in found.problems:
            style = "red" if problem.severity == "error" else "yellow"
            out.line((f"{problem.severity}: ", style), str(problem))
        for key in found.inactive:
            out.line(("inactive: ", "dim"), f"{key} belongs to a part that is not there yet")
        if not found.errors:
            out.line(("ok: ", "green"), f"{sessions} sessions, {templates} provider templates")
    return ConfigError.exit_code if found.errors else 0


@command("schema", "clawd config schema > config.schema.json", "clawd config schema | head")
@pass_invocation
def schema(invocation: Invocation) -> None:
    """The JSON Schema of config.json, for editors."""
    from clawd.config.output import json_schema

    invocation.out.raw(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _file_as_read(invocation: Invocation) -> dict[str, Any]:
    from clawd.config.loader import load
    from clawd.config.output import redacted

    return redacted(load(invocation.home, os.environ).require())


@command("show", "clawd config show", "clawd config show --json")
@pass_invocation
def show(invocation: Invocation) -> None:
    """The configuration with its defaults, as in force when a daemon runs; keys are ***."""
    try:
        config = invocation.client.get("/api/config")["config"]
    except DaemonUnreachable:
        invocation.out.note("no daemon runs: this is the file")
        config = _file_as_read(invocation)
    if invocation.out.as_json:
        invocation.out.document({"schema": "clawd.config/1", "config": config})
    else:
        invocation.out.line(json.dumps(config, indent=2, ensure_ascii=False))


@command("diff", "clawd config diff", "clawd config diff --json")
@pass_invocation
def diff(invocation: Invocation) -> int:
    """How the file differs from what is in force; exit 1 when it does."""
    in_force = invocation.client.get("/api/config")["config"]
    changes = list(differences(in_force, _file_as_read(invocation)))
    out = invocation.out
    if out.as_json:
        items = [{"path": place, "inForce": old, "file": new} for place, old, new in changes]
        out.document({"schema": "clawd.configDiff/1", "items": items, "next": None})
    else:
        for place, old, new in changes:
            out.line((place, "bold"), f": {_shown(old)} in force, {_shown(new)} in the file")
        if not changes:
            out.line("the file is in force")
    return 1 if changes else 0


def differences(old: Any, new: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """Where two JSON values differ: the dotted place, the old value and the new; None is absent."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{place}.{key}" if place else str(key)
            found += differences(old.get(key), new.get(key), inner)
        return found
    return [] if old == new else [(place, old, new)]


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


_HERE = "clawd.cli.commands.config:"
config = group(
    "config",
    "Check and show the configuration.",
    {
        "path": (_HERE + "path", "Where it is."),
        "validate": (_HERE + "validate", "Every problem with its place and mend."),
        "show": (_HERE + "show", "With its defaults, as in force."),
        "diff": (_HERE + "diff", "The file against what is in force."),
        "schema": (_HERE + "schema", "The JSON Schema, for editors."),
    },
    "clawd config validate",
    "clawd config show",
)
