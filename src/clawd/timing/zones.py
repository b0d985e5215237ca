"""Time zones by their IANA names, from the system's own data."""

from __future__ import annotations

import os
import zoneinfo
from datetime import UTC, tzinfo
from pathlib import Path

from clawd.errors import Invalid
from clawd.nearest import nearest

_LOCAL = Path("/etc/localtime")
_NAME = Path("/etc/timezone")


def find_zone(name: str) -> tzinfo:
    """The zone of this name; ``Invalid`` with the nearest, or saying that there is no zone data.

    UTC needs no data.
    """
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    known = zoneinfo.available_timezones()
    if not known:
        raise Invalid(
            "no_zone_data",
            f"time zone {name[:80]!a} cannot be looked up: this system has no zone data",
            hint="install the package tzdata (by apt or pip), or use UTC",
        )
    close = nearest(name, known)
    raise Invalid(
        "unknown_zone",
        f"there is no time zone {name[:80]!a}",
        hint=f"did you mean {close}?" if close else "a name such as Europe/Berlin, or UTC",
    )


def local_zone() -> str:
    """The name of this machine's own zone; "UTC" when it cannot be told."""
    for name in (os.environ.get("TZ", "").lstrip(":"), _linked(), _written()):
        try:
            if name:
                find_zone(name)
                return name
        except Invalid:
            continue
    return "UTC"


def _linked() -> str:
    try:
        return os.path.realpath(_LOCAL).partition("/zoneinfo/")[2]
    except OSError:
        return ""


def _written() -> str:
    try:
        return _NAME.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
