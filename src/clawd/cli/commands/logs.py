"""``clawd logs``: the daemon's log or a session's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from clawd.cli.clean import one_line
from clawd.cli.client import JSON
from clawd.cli.commands.messages import Age
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import session_ids, session_named
from clawd.cli.times import clock
from clawd.errors import DaemonUnreachable, NotFound
from clawd.ids import check_session_id

LEVELS = ("debug", "info", "warning", "error")
_STYLES = {"warning": "yellow", "error": "red"}
_LOOK_SECONDS = 0.25


@command("logs", "clawd logs -f", "clawd logs -s researcher -n 50 --level warning")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("-s", "--session", shell_complete=session_ids, help="A session's log.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=200, help="So many of the last lines."
)
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="This level and above.")
@click.option("--since", type=Age(), metavar="AGE", help="Not older than 10m, 2h, ...")
@pass_invocation
def logs(
    invocation: Invocation,
    follow: bool,
    session: str | None,
    lines: int,
    level: str,
    since: float | None,
) -> None:
    """Show a log; it can be read without a daemon too."""
    path = log_file(invocation, session)
    oldest = time.time() - since if since is not None else 0.0
    wanted = LEVELS[LEVELS.index(level) :]

    def passes(record: JSON) -> bool:
        when = record.get("unix", float("inf"))
        return str(record.get("level", "info")) in wanted and when >= oldest

    content = path.read_bytes() if path.is_file() else b""
    rows = [record for row in content.split(b"\n") if (record := _record(row)) and passes(record)]
    for record in rows[len(rows) - lines :] if lines < len(rows) else rows:
        _show(invocation, record)
    if not content and not follow:
        invocation.out.note(f"nothing is logged yet: {path}")
    if follow:
        for row in following(path, len(content), invocation.timeout):
            record = _record(row)
            if record and passes(record):
                _show(invocation, record)


def log_file(invocation: Invocation, session: str | None) -> Path:
    """The file of a session's log, or of the daemon's."""
    if session is None:
        return invocation.home / "state" / "logs" / "daemon.log"
    try:
        workspace = Path(session_named(invocation.client, session)["workspace"])
    except DaemonUnreachable:
        workspace = invocation.home / "workspaces" / check_session_id(session)
        if not workspace.is_dir():
            raise NotFound(
                "session_not_found", f"there is no workspace {workspace}", hint="run: clawd start"
            ) from None
    return invocation.home / workspace / "logs" / "session.log"


def following(path: Path, offset: int, limit: float | None) -> Iterator[bytes]:
    """The lines that are appended from ``offset`` on, also after the file is rotated."""
    rest = b""
    end = time.monotonic() + limit if limit is not None else float("inf")
    inode = path.stat().st_ino if path.exists() else 0
    while time.monotonic() < end:
        if path.exists():
            found = path.stat()
            if found.st_ino != inode or found.st_size < offset:
                inode, offset, rest = found.st_ino, 0, b""
            if found.st_size > offset:
                with path.open("rb") as file:
                    file.seek(offset)
                    rest += file.read()
                    offset = file.tell()
                *whole, rest = rest.split(b"\n")
                yield from whole
        time.sleep(_LOOK_SECONDS)


def _record(row: bytes) -> JSON | None:
    if not row.strip():
        return None
    try:
        record = json.loads(row)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return {"text": row.decode("utf-8", "replace")}
    from datetime import datetime

    try:
        record["unix"] = datetime.fromisoformat(str(record.get("time"))).timestamp()
    except ValueError:
        return record
    return record


_TOLD = ("text", "change", "final_message", "full_content", "result", "input_message")
_HEAD = frozenset({"level", "time", "event", "session", "seq", "unix", "trace", "logger"})


def _show(invocation: Invocation, record: JSON) -> None:
    out = invocation.out
    if out.as_json:
        record.pop("unix", None)
        out.document(record)
        return
    level = str(record.get("level", "info"))
    told = next((str(record[key]) for key in _TOLD if record.get(key)), "")
    if not told:
        others = {key: value for key, value in record.items() if key not in _HEAD}
        told = json.dumps(others, ensure_ascii=False) if others else ""
    name = str(record.get("logger") or record.get("event") or "")
    where = f" {one_line(str(record['session']))}" if record.get("session") else ""
    out.line(
        (f"{clock(record.get('time'))} ", "dim"),
        (f"{level:<7} ", _STYLES.get(level, "")),
        (f"{name}{where} ", "cyan"),
        one_line(told, None if invocation.verbose else 300),
    )
    if invocation.verbose and record.get("exception"):
        out.line(str(record["exception"]).rstrip(os.linesep))
