"""What a one-shot command loads when a daemon answers it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Home

FORBIDDEN = {"pydantic", "openai", "starlette", "msgspec", "rich", "prompt_toolkit", "asyncio"}
PROGRAM = """
import sys
from clawd.cli.main import main
code = main(sys.argv[1:])
print("LOADED", *(name for name in sys.modules if "." not in name), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("sessions", "list"), ("sessions", "show", "default"),
        ("sessions", "context", "default"), ("messages", "list"), ("tasks", "list"),
        ("tasks", "delegate", "coder", "x", "--wait"), ("send", "coder", "hi"),
        ("chat", "-p", "hi"), ("chat", "-p", "hi", "--output", "stream-json"), ("events",),
        ("tools", "call", "list_agents"), ("providers", "test", "offline"), ("logs",),
        ("trace",), ("pause", "coder"), ("resume", "coder"), ("config", "diff"), ("config", "show"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_commands_stay_light(shared: Home, words: tuple[str, ...]) -> None:
    """Neither pydantic nor openai nor a terminal library is loaded to ask the daemon."""
    ended = subprocess.run(
        [*shared.line()[:1], "-c", PROGRAM, *words],
        capture_output=True, text=True, timeout=30, check=True, env=shared.environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    loaded = set(ended.stderr.rsplit("LOADED", 1)[1].split())
    # The file itself can only be read with pydantic.
    allowed = {"pydantic"} if words == ("config", "diff") else set()
    assert not FORBIDDEN & loaded - allowed
