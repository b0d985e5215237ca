"""Script files: steps as JSON, for a scripted model that runs as a process of its own."""

from __future__ import annotations

import json
from typing import Any

from clawd.testing.faults import cut, fail, hang
from clawd.testing.steps import Step, call, calls, say


def steps_of(entries: list[dict[str, Any]]) -> list[Step]:
    """The steps of one model name.

    An entry is ``{"say": text}``, ``{"call": tool, "arguments"?: {}}``, ``{"calls": [entry]}``,
    ``{"fail": status, "headers"?: {}}``, ``{"cut": text}`` or ``{"hang": true}``.
    """
    return [_step_of(entry) for entry in entries]


def _step_of(entry: dict[str, Any]) -> Step:
    match entry:
        case {"say": str(text)}:
            return say(text)
        case {"call": str(name)}:
            return call(name, **entry.get("arguments", {}))
        case {"calls": list(listed)}:
            return calls(*(_step_of(one) for one in listed))
        case {"fail": int(status)}:
            return fail(status, headers=entry.get("headers"))
        case {"cut": str(text)}:
            return cut(text)
        case {"hang": True}:
            return hang()
    raise SystemExit(f"no such step: {json.dumps(entry)}")
