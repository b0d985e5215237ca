"""``/approve``, ``/deny`` and ``/answer``: the human's word on what waits for it."""

from __future__ import annotations

from clawd.cli.chat.desk import Desk, said
from clawd.cli.chat.lines import Line
from clawd.cli.chat.waiting import approval_lines
from clawd.cli.client import JSON
from clawd.cli.nearest import quoted
from clawd.errors import Invalid, NotFound


def approve(desk: Desk, argument: str) -> list[Line]:
    """Say yes, once or ``always``; without anything to say yes to, show what waits."""
    found, rest = _meant(desk, argument, "approval")
    if rest not in ("", "yes", "always"):
        raise Invalid("usage", "usage: /approve [ID] [always]")
    done = _say(desk, found, decision="allow", always=rest == "always")
    standing = done.get("standing")
    if standing:
        return [said(f"from now on needs no yes: {standing['pattern']}")]
    return []


def deny(desk: Desk, argument: str) -> list[Line]:
    """Say no to a call, or to a question."""
    found, why = _meant(desk, argument, None)
    _say(desk, found, decision="deny", answer=why)
    return []


def answer(desk: Desk, argument: str) -> list[Line]:
    """Answer a question."""
    found, text = _meant(desk, argument, "question")
    if not text:
        return approval_lines(found, desk.view)
    _say(desk, found, decision="answer", answer=text)
    return []


def _meant(desk: Desk, argument: str, kind: str | None) -> tuple[JSON, str]:
    """What waits under the id that begins the argument, or else the oldest; and the rest."""
    items: list[JSON] = desk.client.get("/api/approvals")["items"]
    first, _, rest = argument.strip().partition(" ")
    for item in items:
        if first == item["id"]:
            return item, rest.strip()
    if first.startswith("appr-"):
        raise NotFound("unknown_approval", f"nothing waits under {first}", hint="/approve")
    fitting = [item for item in items if kind in (None, item["kind"])]
    here = [item for item in fitting if item["session"] == desk.session]
    if not fitting:
        what = {"approval": "no call waits", "question": "no question waits"}.get(kind or "")
        raise NotFound("nothing_waits", f"{what or 'nothing waits'} for you")
    return (here or fitting)[0], argument.strip()


def _say(desk: Desk, item: JSON, **word: object) -> JSON:
    # What comes of it is an event, and is shown then.
    return desk.client.post(f"/api/approvals/{quoted(item['id'])}", word)
