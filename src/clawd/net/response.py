"""What another host answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """A response before its body. ``url`` is the last one, after redirects; names are lower case.

    Values are text in Latin-1, as HTTP has it: they may hold anything but line breaks.
    """

    url: str
    status: int
    headers: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """The first header of this name (in lower case)."""
        return next((value for known, value in self.headers if known == name), default)

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case; "" when none is given."""
        return self.get("content-type").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """The size of the body as announced, in bytes; None when that is not known."""
        text = self.get("content-length")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@dataclass(frozen=True, slots=True)
class Response:
    """A response whole: ``body`` is unpacked; "" with ``skipped`` when it was not wanted."""

    head: Head
    body: bytes = b""
    skipped: bool = False
    redirects: Sequence[str] = ()
    """The URLs that led to ``head.url``."""

    @property
    def url(self) -> str:
        """Where the answer came from in the end."""
        return self.head.url

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status
