"""Which session is meant, and the nearest name when there is none of that name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import click

from clawd.cli.client import JSON, Client
from clawd.cli.home import home_folder
from clawd.cli.invocation import Invocation
from clawd.errors import ClawdError, Invalid, NotFound, Refused
from clawd.nearest import nearest


@contextmanager
def naming_the_nearest(
    client: Client, path: str, wanted: str, *others: tuple[str, str]
) -> Iterator[None]:
    """Give a "no such thing" error the nearest id of the list at ``path`` as its hint.

    A request that names several things has ``others``, each a path and an id; the list is that
    of the one that the error's text names. When none is near, the error's own hint stays.
    """
    try:
        yield
    except NotFound as problem:
        for other_path, other in others:
            if ascii(other[:80]) in problem.message:
                path, wanted = other_path, other
                break
        problem.hint = hint(client, path, wanted, problem.hint)
        raise


def hint(client: Client, path: str, wanted: str, otherwise: str = "") -> str:
    """``did you mean …?`` with the nearest id of a list, or else the first few ids of it."""
    try:
        ids = [str(item.get("id", "")) for item in client.get(path).get("items", [])]
    except ClawdError:
        return otherwise
    near = nearest(wanted, ids, cutoff=0.5)
    if near:
        return f"did you mean {near}?"
    if otherwise or not ids:
        return otherwise
    return f"there are: {', '.join(ids[:8])}{' …' if len(ids) > 8 else ''}"


def session_named(client: Client, wanted: str | None) -> JSON:
    """The session of this id; without one ``default``, else the first that is enabled."""
    if wanted is not None:
        with naming_the_nearest(client, "/api/sessions", wanted):
            return client.get(f"/api/sessions/{quoted(wanted, 'session')}")
    items: list[JSON] = client.get("/api/sessions").get("items", [])
    enabled = [item for item in items if item.get("status") != "disabled"]
    for item in enabled:
        if item.get("id") == "default":
            return item
    if not enabled:
        raise Refused(
            "no_session",
            "no session is enabled",
            hint="add one to config.json, or: clawd sessions create ID",
        )
    return enabled[0]


def quoted(name: str, kind: str = "") -> str:
    """An id as one segment of a path, whatever characters somebody typed; ``Invalid`` for none.

    ``kind`` is what the id is of. ``NotFound`` for a name that no path may have in one segment.
    """
    if not name:
        raise Invalid("empty_id", "the id is empty", hint="name one")
    try:
        segment = quote(name, safe="")
    except UnicodeEncodeError:
        raise Invalid(
            "invalid_id",
            f"the id {name[:80]!a} is not UTF-8",
            hint="type it, or copy it from a list",
        ) from None
    if "/" in name or name in (".", ".."):
        # Not repeated here: what was typed may be a key, and the daemon alone knows its keys.
        raise NotFound("not_found", f"there is no {kind or 'thing'} of that name: ids have no '/'")
    return segment


def session_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """What Tab offers for a session in the shell: the ids, when a daemon answers at once."""
    option = context.find_object(Invocation)
    client = Client(option.home if option else home_folder(None), 0.3)
    try:
        items = client.get("/api/sessions").get("items", [])
    except ClawdError:
        return []
    return [str(item["id"]) for item in items if str(item["id"]).startswith(incomplete)]
