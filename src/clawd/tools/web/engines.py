"""The search services: what each is asked, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from clawd.config.schema import WebSearch
from clawd.errors import Unreachable
from clawd.secrets import Secret

MOST = 20
"""How many results may be asked for."""


class _Any(BaseModel):
    """Of an answer, what is needed; the rest changes from year to year."""

    title: str | None = None
    url: str | None = None
    link: str | None = None
    content: str | None = None
    description: str | None = None
    snippet: str | None = None


class _SearxngAnswer(BaseModel):
    results: list[_Any] = []


class _BraveWeb(BaseModel):
    results: list[_Any] = []


class _BraveAnswer(BaseModel):
    web: _BraveWeb = _BraveWeb()


class _SerperAnswer(BaseModel):
    organic: list[_Any] = []


@dataclass(frozen=True, slots=True)
class Found:
    """One result, as the service wrote it."""

    title: str
    url: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Question:
    """A request to a service. ``body`` is None for a GET."""

    url: str
    headers: dict[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """A service: the address where it is by default, and how it is talked to."""

    name: str
    endpoint: str
    question: Callable[[str, str, int, str], Question]
    """From endpoint, query, number of results, key."""
    results: Callable[[bytes], list[_Any]]


def engine_of(search: WebSearch) -> Engine:
    """The service that a session's settings name."""
    return _ENGINES[search.provider]


def ask(search: WebSearch, query: str, limit: int, key: Secret | None) -> Question:
    """What to ask the service."""
    engine = engine_of(search)
    secret = key.reveal() if key else ""
    return engine.question((search.endpoint or engine.endpoint).rstrip("/"), query, limit, secret)


def read(search: WebSearch, body: bytes, limit: int) -> list[Found]:
    """The results of an answer, those with a web address; ``Unreachable`` for another answer."""
    engine = engine_of(search)
    try:
        results = engine.results(body)
    except ValidationError:
        raise Unreachable(
            "search_failed",
            f"{engine.name} answers with something other than results",
            hint="is tools.search.endpoint right, and is JSON among the formats it offers?",
        ) from None
    found = (
        Found(
            result.title or "",
            result.url or result.link or "",
            result.content or result.description or result.snippet or "",
        )
        for result in results
    )
    return [one for one in found if one.url.startswith(("http://", "https://"))][:limit]


def _searxng(endpoint: str, query: str, _limit: int, key: str) -> Question:
    place = endpoint if endpoint.endswith("/search") else f"{endpoint}/search"
    # Instances behind a proxy ask for a key; the service itself knows none.
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Question(f"{place}?{urlencode({'q': query, 'format': 'json'})}", headers)


def _brave(endpoint: str, query: str, limit: int, key: str) -> Question:
    return Question(
        f"{endpoint}?{urlencode({'q': query, 'count': limit})}", {"X-Subscription-Token": key}
    )


def _serper(endpoint: str, query: str, limit: int, key: str) -> Question:
    body = json.dumps({"q": query, "num": limit}).encode()
    return Question(endpoint, {"X-API-KEY": key, "Content-Type": "application/json"}, body)


_ENGINES = {
    "searxng": Engine(
        "SearXNG", "", _searxng, lambda body: _SearxngAnswer.model_validate_json(body).results
    ),
    "brave": Engine(
        "Brave",
        "https://api.search.brave.com/res/v1/web/search",
        _brave,
        lambda body: _BraveAnswer.model_validate_json(body).web.results,
    ),
    "serper": Engine(
        "Serper",
        "https://google.serper.dev/search",
        _serper,
        lambda body: _SerperAnswer.model_validate_json(body).organic,
    ),
}
