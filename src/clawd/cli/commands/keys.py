"""``clawd keys``: keys for content that is sealed at rest."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.errors import Refused


@command("new", "clawd keys new --file ~/.clawd/content.key", "clawd keys new")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there, for its owner alone, instead of showing it.",
)
@pass_invocation
def new(invocation: Invocation, file: Path | None) -> None:
    """Make a key for content that is sealed at rest (a2a.encrypt).

    Keep a copy where the daemon's disk is not: without the key nobody can open the content.
    """
    key = secrets.token_urlsafe(32)
    if file is None:
        invocation.report({"schema": "clawd.key/1", "key": key}, key)
        invocation.out.note("put it into the daemon's environment as CLAWD_ENCRYPTION_KEY")
        return
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(
            "file_exists", f"{file} is there already", hint="a key in use must not be lost"
        ) from None
    except OSError as error:
        raise Refused("cannot_write", f"{file}: {error.strerror}", hint="name another") from None
    with open(handle, "w", encoding="ascii") as stream:
        stream.write(f"{key}\n")
    path = str(file.absolute())
    invocation.report({"schema": "clawd.key/1", "file": path}, f"wrote {path}")
    invocation.out.note(f'in config.json: "encryption": {{"key": "file:{path}"}}')


_HERE = "clawd.cli.commands.keys:"
keys = group(
    "keys",
    "Make keys for content that is sealed at rest.",
    {"new": (_HERE + "new", "Make a key.")},
    "clawd keys new",
    "clawd keys new --file ~/.clawd/content.key",
)
