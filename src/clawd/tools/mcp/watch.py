"""What is noticed of a server's output beside its messages: noise, last words, floods."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from clawd.tools.mcp.limits import (
    LAST_WORDS,
    MESSAGES_AT_ONCE,
    MESSAGES_PER_SECOND,
    NOISE_LINES,
    NOISE_SHOWN,
)
from clawd.tools.mcp.problems import ServerProblem


@dataclass(slots=True)
class Watch:
    """One connection's. ``noise`` are the first bytes on stdout that were no message."""

    noise: str = ""
    noisy_lines: int = 0
    words: bytes = b""
    """The end of what it wrote to stderr."""
    status: str = ""
    """The last HTTP status that was a refusal, in words."""
    _allowance: float = MESSAGES_AT_ONCE
    _at: float = field(default_factory=time.monotonic)

    def message(self) -> None:
        """A message came; ``ServerProblem`` when there are too many."""
        now = time.monotonic()
        more = (now - self._at) * MESSAGES_PER_SECOND
        self._at, self._allowance = now, min(MESSAGES_AT_ONCE, self._allowance + more) - 1
        if self._allowance < 0:
            raise ServerProblem(f"it floods: more than {MESSAGES_PER_SECOND:g} messages a second")

    def noisy(self, line: bytes) -> None:
        """A line came that is no message; ``ServerProblem`` when there are too many."""
        self.noise = self.noise or shown(line)
        self.noisy_lines += 1
        if self.noisy_lines >= NOISE_LINES:
            raise ServerProblem(
                f"it writes something else than MCP to stdout, which begins: {self.noise}"
            )

    def said(self, data: bytes) -> None:
        """Something came on stderr."""
        self.words = (self.words + data)[-LAST_WORDS:]

    def last_line(self) -> str:
        """The last line on stderr, for people; "" when there is none."""
        lines = [line for line in self.words.splitlines() if line.strip()]
        return shown(lines[-1]) if lines else ""


def shown(line: bytes) -> str:
    """The first bytes of a line as ASCII, in quotes."""
    text = line[:NOISE_SHOWN].decode(errors="replace").strip()
    return f"{text!a}{'…' if len(line) > NOISE_SHOWN else ''}"
