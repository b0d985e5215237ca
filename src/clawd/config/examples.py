"""Where the example configuration and workspaces are, installed or in the source tree."""

from __future__ import annotations

from pathlib import Path

from clawd.errors import NotFound

EXAMPLE_FILE = "config.example.json"

_PACKAGE = Path(__file__).parent.parent


def examples_root() -> Path:
    """The folder that holds ``config.example.json`` and ``workspaces/<session>/*.md``.

    A wheel carries it inside the package; a source tree has it at its top. ``NotFound`` when
    the installation is damaged.
    """
    for folder in (_PACKAGE / "_examples", _PACKAGE.parent.parent):
        if (folder / EXAMPLE_FILE).is_file():
            return folder
    raise NotFound(
        "no_examples", f"{EXAMPLE_FILE} is not in this installation", hint="install clawd again"
    )


def example() -> str:
    """The text of the example configuration, with its comments."""
    return (examples_root() / EXAMPLE_FILE).read_text(encoding="utf-8")
