"""How far one request may go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What bounds a request from its first name lookup to its last byte.

    ``size`` is in bytes, packed and unpacked alike. ``seconds`` bounds everything together,
    ``connect_seconds`` each address that is tried, ``idle_seconds`` each wait for more bytes.
    ``pieces``: how many chunks a body may come in (each costs time, however small it is).
    """

    size: int = 2 * 1024 * 1024
    seconds: float = 30.0
    connect_seconds: float = 6.0
    idle_seconds: float = 10.0
    redirects: int = 5
    pieces: int = 20_000
    header_count: int = 200
