"""The status line: what holds now, shedding from the right where there is no room."""

from __future__ import annotations

from dataclasses import dataclass

from clawd.cli.clean import cut, one_line, width
from clawd.cli.times import count, duration, spent


@dataclass(frozen=True)
class Standing:
    """The facts of the status line; 0, "" and None are left out."""

    session: str
    model: str = ""
    used: int = 0
    window: int = 0
    cost: float | None = None
    unread: int = 0
    tasks: int = 0
    seconds: float = 0.0
    paused: bool = False
    estimated: bool = False


def status_line(now: Standing, columns: int) -> str:
    """As in ``default · offline · 12.4k/128k 10% · $0.06 · ✉2 · ⚙1 · 15m``.

    Session, "paused", model and unread mail stay when the others have gone; then it is cut.
    """
    parts = [
        (True, one_line(now.session)),
        (True, "paused" if now.paused else ""),
        (True, one_line(now.model)),
        (False, _context(now.used, now.window)),
        (False, spent({"cost": now.cost, "estimated": now.estimated})),
        (True, f"✉{now.unread}" if now.unread else ""),
        (False, f"⚙{now.tasks}" if now.tasks else ""),
        (False, duration(now.seconds)),
    ]
    parts = [part for part in parts if part[1]]
    while width(_joined(parts)) > columns and not all(kept for kept, _ in parts):
        parts.pop(max(index for index, (kept, _) in enumerate(parts) if not kept))
    return cut(_joined(parts), columns)


def _joined(parts: list[tuple[bool, str]]) -> str:
    return " · ".join(text for _, text in parts)


def _context(used: int, window: int) -> str:
    if not window:
        return ""
    return f"{count(used)}/{count(window)} {100 * used / window:.0f}%"
