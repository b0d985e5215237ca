"""Creating a session: checked whole, then made whole, or not at all."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawd.comms.checks import encoded
from clawd.comms.creation import SessionCreation
from clawd.config.loader import parse_session
from clawd.config.output import session_json
from clawd.config.references import check_session
from clawd.config.schema import Config, SessionSettings
from clawd.errors import Invalid, StorageError
from clawd.ids import OPERATOR, RESERVED_SESSION_IDS, check_session_id, now
from clawd.lineage import Lineage
from clawd.nearest import nearest
from clawd.sessions.identity import FILES
from clawd.sessions.registry import SessionRecord
from clawd.sessions.templates import identity_files
from clawd.storage.files import atomic_write, make_private_folder, sync_folder

MAX_IDENTITY_BYTES = 64 * 1024

UNFINISHED = ".unfinished"
"""In a workspace whose session is not registered yet."""

_AS_MADE = {*FILES, UNFINISHED}


def check_free(wanted: str, taken: Collection[str]) -> None:
    """``Invalid`` for an id of the wrong form, and alike for one that is reserved or taken."""
    if wanted.lower() in RESERVED_SESSION_IDS or wanted.lower() in {t.lower() for t in taken}:
        raise Invalid(
            "name_not_available",
            f"the id {wanted!r} is not available",
            hint="choose another id",
        )
    check_session_id(wanted)


def settings_for(
    config: Config, wanted: SessionCreation, creator: SessionSettings | None
) -> SessionSettings:
    """The settings of the new session; ``Invalid`` names what is wrong with the request.

    It gets no more than its creator: the same tools, skills, limits, organization and rules of
    access, and no MCP servers, schedules or standing rules.
    """
    for file, text in wanted.identity.items():
        size = len(encoded(text, file))
        if size > MAX_IDENTITY_BYTES:
            raise Invalid(
                "too_large",
                f"{file} has {size} bytes, the limit is {MAX_IDENTITY_BYTES}",
                hint="shorten it",
            )
        if "\0" in text:
            raise Invalid("invalid_text", f"{file} has a NUL character", hint="send plain text")
    template = config.provider_templates.get(wanted.template)
    if template is None:
        known = ", ".join(config.provider_templates)
        close = nearest(wanted.template, config.provider_templates, cutoff=0.7)
        raise Invalid(
            "unknown_template",
            f"there is no provider template {wanted.template[:80]!a}",
            hint=f"{f'did you mean {close!r}? ' if close else ''}templates: {known}",
        )
    if wanted.role not in ("creative", "deterministic", "hybrid"):
        raise Invalid(
            "invalid_role",
            f"role {wanted.role[:80]!a} is not known",
            hint="creative, deterministic or hybrid",
        )
    entry: dict[str, Any] = {
        "name": wanted.name.strip() or wanted.id,
        "description": wanted.description,
        "role": wanted.role,
        "provider": {"template": wanted.template}
        | ({"model": wanted.model} if wanted.model else {}),
        "capabilities": list(wanted.capabilities),
        "a2a": {"enabled": wanted.a2a, "hiddenFromAgents": wanted.hidden},
    }
    if creator is not None:
        inherited = session_json(creator)
        entry |= {key: inherited[key] for key in ("tools", "limits", "skills") if key in inherited}
        if "search" in entry.get("tools", {}) and not _refers(entry["tools"]["search"]):
            # A key that stands in config.json itself stands nowhere else.
            entry["tools"] = {k: v for k, v in entry["tools"].items() if k != "search"}
        entry["a2a"]["organization"] = creator.a2a.organization
        entry["a2a"]["encrypt"] = creator.a2a.encrypt
        rules = inherited.get("a2a", {}).get("access", [])
        # As closed as its creator, who reaches it all the same.
        entry["a2a"]["access"] = [{"from": creator.id, "allow": True}, *rules] if rules else []
    settings = parse_session(wanted.id, entry)
    for finding in check_session(config, settings):
        if finding.severity == "error":
            raise Invalid(
                "invalid_session",
                finding.message,
                hint=finding.hint or "list_provider_templates shows what there is",
            )
    return settings


def _refers(search: dict[str, Any]) -> bool:
    """Whether the provider of searches needs no key, or one that is kept elsewhere."""
    key = search.get("apiKey")
    return key is None or str(key).startswith(("${", "file:"))


def created_record(
    settings: SessionSettings, creator: str, depth: int, lineage: Lineage
) -> SessionRecord:
    """The record of a session that ``creator``, itself ``depth`` deep, makes now."""
    return SessionRecord(
        id=settings.id,
        time=now(),
        settings=session_json(settings),
        created=True,
        created_by=creator,
        depth=depth + 1 if creator != OPERATOR else 0,
        lineage=lineage,
    )


def make_workspace(folder: Path, wanted: SessionCreation) -> None:
    """Make the folder with its four identity files (blocking), all or nothing.

    ``StorageError`` when it cannot be made, ``Invalid`` when something is already there.
    """
    forget_unfinished(folder)
    if folder.exists() or folder.is_symlink():
        raise Invalid(
            "workspace_exists",
            f"{folder} is already there",
            hint="choose another id, or move it away",
        )
    contents = identity_files(wanted.id, wanted.name or wanted.id, wanted.description) | dict(
        wanted.identity
    )
    unfinished = folder.with_name(f".{folder.name}.new")
    try:
        make_private_folder(folder.parent)
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_folder(unfinished)
        for name in FILES:
            atomic_write(unfinished / name, contents[name].encode())
        atomic_write(unfinished / UNFINISHED, b"")
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except (OSError, StorageError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        forget_unfinished(folder)
        why = error.message if isinstance(error, StorageError) else error.strerror
        raise StorageError(
            "workspace_not_made",
            f"{folder} cannot be made: {why}",
            hint="check the folder's owner, mode and disk",
        ) from None


def finished(folder: Path) -> None:
    """The session of this workspace is registered (blocking)."""
    with suppress(OSError):  # a mark that stays is taken away at the next start
        (folder / UNFINISHED).unlink(missing_ok=True)


def forget_unfinished(folder: Path) -> None:
    """Remove a workspace whose session never came to be (blocking), unless it was used since."""
    if (folder / UNFINISHED).exists() and {p.name for p in folder.iterdir()} <= _AS_MADE:
        shutil.rmtree(folder, ignore_errors=True)


def settle_unfinished(workspaces: Path, used: Collection[Path]) -> None:
    """After a start: finish or forget what a killed daemon was about to create (blocking)."""
    for mark in workspaces.glob(f"*/{UNFINISHED}"):
        if mark.parent in used:
            finished(mark.parent)
        else:
            forget_unfinished(mark.parent)


async def make_workspace_whole(folder: Path, wanted: SessionCreation) -> None:
    """The same without blocking; a caller that is cancelled meanwhile leaves nothing behind."""
    making = asyncio.get_running_loop().run_in_executor(None, make_workspace, folder, wanted)
    try:
        await asyncio.shield(making)
    except asyncio.CancelledError:
        await asyncio.wait([making])
        if making.exception() is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
