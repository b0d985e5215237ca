"""Whether the model endpoints that sessions use can be reached; nothing is sent to them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clawd.cli.checks.check import Check

if TYPE_CHECKING:
    from clawd.config.schema import Config

LIMIT_SECONDS = 3.0
_MANY = 8


def providers(config: Config) -> Iterator[Check]:
    """One finding for each endpoint in use that no connection comes about with."""
    endpoints: dict[str, str] = {}
    for session in config.sessions.values():
        template = config.template_of(session)
        if session.enabled and not template.is_offline and template.endpoint:
            endpoints.setdefault(template.endpoint, template.id)
    if not endpoints or _through_proxy(os.environ):
        return
    with ThreadPoolExecutor(_MANY) as pool:
        problems = list(pool.map(unreachable, endpoints))
    for (endpoint, name), problem in zip(endpoints.items(), problems, strict=True):
        host = urlsplit(endpoint).netloc.rpartition("@")[2]
        if problem:
            mend = f"start it, or look at the network; then: clawd providers test {name}"
            yield Check("provider", "warning", f"{name}: {host} is out of reach ({problem})", mend)
    if not any(problems):
        yield Check("providers", "ok", f"{len(endpoints)} reachable")


def unreachable(endpoint: str) -> str:
    """Why no connection comes about, "" when one does."""
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), LIMIT_SECONDS):
            return ""
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()


def _through_proxy(environ: Mapping[str, str]) -> bool:
    """Whether connections are made by another machine: then this one cannot tell."""
    return any(environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"))
