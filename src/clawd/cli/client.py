"""The daemon's local API (`docs/api.md`) over its Unix socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from clawd.cli.home import socket_path
from clawd.cli.wire import Answer, request
from clawd.errors import (
    ClawdError,
    ConfigError,
    DaemonUnreachable,
    Invalid,
    NotFound,
    ProviderBusy,
    ProviderError,
    Refused,
    TimedOut,
)

JSON = dict[str, Any]

REQUEST_SECONDS = 30.0
"""How long an answer may take when the caller names no limit."""

SILENCE_SECONDS = 45.0
"""An event stream that is silent for so long is lost: comments come every 15 s."""

_BY_STATUS: dict[int, type[ClawdError]] = {
    400: Invalid, 404: NotFound, 405: Invalid, 409: Refused, 413: Invalid, 415: Invalid,
    422: ConfigError, 429: Refused, 504: TimedOut,
}  # fmt: skip


_INSTEAD_OF_TOOLS = {
    "check_async_tasks": "clawd tasks list",
    "list_agents": "clawd sessions list",
    "list_provider_templates": "clawd providers list",
}
_BUSY = frozenset({"provider_busy", "provider_unreachable"})
_OVER_TIME = frozenset({"timed_out", "provider_timeout", "provider_queue"})


class Client:
    """Asks one daemon: a connection a request, because a command makes one or two.

    Every method raises ``DaemonUnreachable`` when nobody listens, ``TimedOut`` when the answer
    takes longer than the limit, and the ``ClawdError`` that the daemon's error names.
    """

    def __init__(self, home: Path, timeout: float | None = None) -> None:
        self.home = home
        self.timeout = REQUEST_SECONDS if timeout is None else timeout

    def get(
        self, path: str, query: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> JSON:
        """What ``GET path?query`` answers; a query value of None is left out."""
        wanted = {
            key: int(value) if isinstance(value, bool) else value
            for key, value in (query or {}).items()
            if value is not None
        }
        try:
            query_text = f"?{urlencode(wanted)}" if wanted else ""
        except UnicodeEncodeError as problem:
            raise Invalid("invalid_text", f"{problem.object[:80]!a} is not UTF-8") from None
        return self.ask("GET", f"{path}{query_text}", timeout=timeout)

    def post(self, path: str, body: JSON | None = None, *, timeout: float | None = None) -> JSON:
        """What ``POST path`` with this body answers."""
        return self.ask("POST", path, body or {}, timeout=timeout)

    def patch(self, path: str, body: JSON) -> JSON:
        """What ``PATCH path`` with this body answers."""
        return self.ask("PATCH", path, body)

    def delete(self, path: str) -> JSON:
        """What ``DELETE path`` answers."""
        return self.ask("DELETE", path)

    def ask(
        self, method: str, path: str, body: JSON | None = None, *, timeout: float | None = None
    ) -> JSON:
        """One request and its answer; ``timeout`` in seconds replaces the client's own."""
        limit = self.timeout if timeout is None else timeout
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            with request(socket_path(self.home), method, path, headers, data, limit) as answer:
                return _document(answer)
        except TimeoutError:
            raise TimedOut(
                "no_answer", f"the daemon did not answer within {limit:g} s", hint="see clawd logs"
            ) from None
        except OSError as problem:
            raise unreachable(self.home, problem) from None

    def open_events(self, query: str, last_event_id: int | None) -> Answer:
        """The open answer to ``GET /api/events``; the caller closes it."""
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        path, target = socket_path(self.home), f"/api/events{query}"
        try:
            answer = request(path, "GET", target, headers, None, SILENCE_SECONDS)
            if answer.status != 200:
                with answer:
                    _document(answer)
        except OSError as problem:
            raise unreachable(self.home, problem) from None
        return answer

    def running(self) -> JSON | None:
        """The daemon's status, or None when no daemon answers."""
        try:
            return self.get("/api/status")
        except DaemonUnreachable:
            return None


def unreachable(home: Path, problem: Exception | None = None) -> DaemonUnreachable:
    """The error for a home whose daemon does not answer."""
    missing = problem is None or isinstance(problem, FileNotFoundError | ConnectionRefusedError)
    detail = "" if missing else f" ({type(problem).__name__}: {problem})"
    return DaemonUnreachable(
        "daemon_unreachable", f"no daemon answers for {home}{detail}", hint="run: clawd start"
    )


def _document(answer: Answer) -> JSON:
    data = answer.read()
    try:
        document = json.loads(data) if data else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ClawdError(
            "bad_answer", f"the daemon answered {answer.status} with something else than JSON"
        )
    if answer.status >= 400:
        raise error_from(answer.status, document)
    return document


def error_from(status: int, document: JSON) -> ClawdError:
    """The error in an answer of this HTTP status, in the class that sets the exit code."""
    fields = document.get("error")
    if not isinstance(fields, dict):
        fields = {"message": str(fields or f"the daemon answered {status}")}
    code = str(fields.get("code") or fields.get("error") or f"http_{status}")
    message, hint = str(fields.get("message", code)), _for_humans(str(fields.get("hint") or ""))
    return failure(code, message, hint, _BY_STATUS.get(status, ClawdError))


def _for_humans(hint: str) -> str:
    """The hint; of one that tells a model which tool to call, the command that does the same."""
    tool = hint.split(" ", 1)[0]
    return f"see: {_INSTEAD_OF_TOOLS[tool]}" if tool in _INSTEAD_OF_TOOLS else hint


def failure(
    code: str, message: str, hint: str = "", otherwise: type[ClawdError] = ClawdError
) -> ClawdError:
    """The error for a code: a provider's in the class of its kind, any other as ``otherwise``."""
    if code in _BUSY:
        return ProviderBusy(code, message, hint=hint, retryable=True)
    if code in _OVER_TIME:
        return TimedOut(code, message, hint=hint)
    if code.startswith("provider_"):
        return ProviderError(code, message, hint=hint)
    return otherwise(code, message, hint=hint)


Wanted = Callable[[str, bytes], bool]
"""Whether an event of this name with this JSON text is worth decoding."""
