"""The environment of a child process: what every program needs, and nothing that is secret."""

from __future__ import annotations

from collections.abc import Mapping

PASSED = frozenset(
    {
        *("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"),
        *("LANG", "LANGUAGE", "TZ", "TMPDIR", "COLORTERM", "NO_COLOR"),
    }
)
"""The variables that children get, besides those of the locale (``LC_…``)."""


def child_environment(environ: Mapping[str, str], *also: str) -> dict[str, str]:
    """The variables of ``environ`` that a child gets; ``also`` names what this one needs besides.

    By name and not by what looks like a key: a name that nobody thought of stays behind.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in PASSED or name.startswith("LC_") or name in also
    }
