"""A notice as it is kept for the operator who was not there."""

from __future__ import annotations

import msgspec

from clawd.messages import JSON

FILE_NAME = "notices.jsonl"


class KeptNotice(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One line of ``state/notices.jsonl``; the last line for an id wins.

    ``time`` is when it came last, ``first`` when it came first, ``count`` how often.
    """

    id: str
    first: str
    time: str
    level: str
    code: str
    text: str
    session: str = ""
    trace: str = ""
    parent: str = ""
    guard: JSON | None = None
    count: int = 1
