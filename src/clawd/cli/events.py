"""The daemon's event stream as a blocking iterator that outlives lost connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import urlencode

from clawd.cli.client import JSON, Client, Wanted
from clawd.cli.wire import Answer
from clawd.errors import DaemonUnreachable

Change = Literal["lost", "back", "restarted"]

RETRY_SECONDS = 0.3


class Events:
    """Server-sent events, each a dictionary with ``seq, time, event, session, ...``.

    ``after`` replays what came since that number; None begins now. A lost connection is taken up
    again where it was, for ``patience`` seconds; ``changed`` is told. A daemon that was started
    anew counts from 1, so its stream is then read from its beginning. ``close`` may be called
    from another thread and ends the iteration.
    """

    def __init__(
        self,
        client: Client,
        *,
        after: int | None = None,
        session: str = "",
        patience: float = 30.0,
        wanted: Wanted = lambda name, data: True,
        changed: Callable[[Change], None] = lambda change: None,
    ) -> None:
        self._client = client
        self._last = after
        self._session = session
        self._patience = patience
        self._wanted = wanted
        self._changed = changed
        self._closed = threading.Event()
        self._answer: Answer | None = None
        self._started = ""

    def __iter__(self) -> Iterator[JSON]:
        self._answer = self._open()
        while self._answer is not None:
            with self._answer as answer:
                try:
                    yield from self._read(answer)
                except OSError:
                    pass  # taken up again below
            if self._closed.is_set():
                return
            self._changed("lost")
            self._answer = self._reopen()

    def close(self) -> None:
        """End the iteration; a reader that is blocked wakes up."""
        self._closed.set()
        if self._answer is not None:
            self._answer.interrupt()

    def _open(self) -> Answer:
        if not self._started:
            status = self._client.get("/api/status")
            self._started = str(status.get("startedAt", ""))
            if self._last is None:
                self._last = int(status.get("seq", 0))
        query: dict[str, str] = {"session": self._session} if self._session else {}
        if self._last is not None:
            query["after"] = str(self._last)
        return self._client.open_events("?" + urlencode(query) if query else "", self._last)

    def _reopen(self) -> Answer | None:
        waited = 0.0
        while not self._closed.wait(RETRY_SECONDS):
            try:
                status = self._client.get("/api/status")
                restarted = str(status.get("startedAt", "")) != self._started
                if restarted:
                    self._started, self._last = str(status.get("startedAt", "")), 0
                answer = self._open()
                self._changed("restarted" if restarted else "back")
                return answer
            except DaemonUnreachable:
                if waited >= self._patience:
                    raise
            waited += RETRY_SECONDS
        return None

    def _read(self, answer: Answer) -> Iterator[JSON]:
        name, data = "", []
        for line in answer.lines():
            if line.startswith(b"data:"):
                data.append(line[5:].lstrip())
            elif line.startswith(b"id:"):
                number = line[3:].strip().partition(b"-")[0]
                if number.isdigit():
                    self._last = int(number)
            elif line.startswith(b"event:"):
                name = line[6:].strip().decode()
            elif not line and data:
                text = b"\n".join(data)
                data = []
                if self._wanted(name, text):
                    yield json.loads(text)
