"""Tools that fail again and again, as the stream tells of them."""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection

from clawd.events import ToolCallError
from clawd.stream import Published
from clawd.tools.curiosity.finding import Finding, score

OFTEN = 3
"""From so many failures of one kind on, they are worth a look."""
WITHIN_SECONDS = 24 * 3600.0
_MOST = 2000
"""How many kinds of failures of all sessions are remembered; the oldest are forgotten."""
_OF_THE_MODEL = frozenset(
    "cancelled interrupted invalid_arguments malformed_arguments unknown_tool tool_denied".split()
)
"""What a model did wrong, or a human wanted: nothing to find out."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Failures:
    """Counts failed calls by session, tool and code; an observer of the stream."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._times: OrderedDict[tuple[str, str, str], deque[float]] = OrderedDict()
        self._watched: frozenset[str] = frozenset()

    def watch(self, sessions: Collection[str]) -> None:
        """Count for these sessions from now on, and forget all others."""
        self._watched = frozenset(sessions)
        for key in [key for key in self._times if key[0] not in self._watched]:
            del self._times[key]

    def __call__(self, published: Published) -> None:
        """Count a call that failed."""
        event = published.event
        if not isinstance(event, ToolCallError) or event.session not in self._watched:
            return
        code = str(event.error.get("error", ""))
        if code in _OF_THE_MODEL or not (
            _NAME.fullmatch(code) and _NAME.fullmatch(event.tool_name)
        ):
            return
        key = (event.session, event.tool_name, code)
        self._times.setdefault(key, deque(maxlen=OFTEN)).append(self._clock())
        self._times.move_to_end(key)
        if len(self._times) > _MOST:
            self._times.popitem(last=False)

    def repeated(self, session: str) -> list[Finding]:
        """What failed at least three times within a day."""
        since = self._clock() - WITHIN_SECONDS
        return [
            Finding(
                "failure",
                f"Find out why {tool} keeps failing with {code}",
                "failures",
                score=score("failure", 0.0, untrusted=False),
            )
            for (whose, tool, code), times in self._times.items()
            if whose == session and len(times) == OFTEN and times[0] >= since
        ]
