"""Whether what a turn knows came from those it may trust."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Trust:
    """Whether a turn has read text from outside, and from where.

    What is marked stays so until the turn ends: it cannot use some powers without a yes of the
    human, and what it sends, delegates, writes and notes down is marked in its turn.
    """

    sources: list[str] = field(default_factory=list)

    @property
    def untrusted(self) -> bool:
        """Whether anything from outside was read."""
        return bool(self.sources)

    def mark(self, source: str) -> None:
        """Text from outside was read; ``source`` says where it came from, for a human."""
        if source not in self.sources:
            self.sources.append(source)
