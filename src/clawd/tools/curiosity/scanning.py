"""One scan: what is open in a workspace, and which of it becomes an objective."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from clawd.tools.curiosity.finding import Finding
from clawd.tools.curiosity.keeping import change_page
from clawd.tools.curiosity.page import Goal, Page
from clawd.tools.curiosity.reading import Reading


@dataclass(frozen=True, slots=True)
class Scan:
    """How much is open, which objectives are new, and how many are open now."""

    found: int
    added: tuple[Goal, ...]
    open: int


def scan(
    workspace: Path,
    reading: Reading,
    failures: Collection[Finding],
    most: int,
    waiting: Collection[str] | None,
) -> Scan:
    """Look, and write the page when there is something new (blocking).

    ``waiting`` are the schedules that will still run: an objective whose schedule is not among
    them, and which is not done, is open again. None is that nobody knows.
    """
    found = [*failures, *reading.findings()]

    def change(page: Page) -> Scan:
        for goal in page.goals:
            if waiting is None or goal.status != "scheduled":
                continue
            if goal.schedule not in waiting:
                page.put(replace(goal, schedule=""))
        added = page.take(found, most)
        return Scan(len(found), tuple(added), open_on(page))

    return change_page(workspace, change)


def open_on(page: Page) -> int:
    """How many objectives are neither done nor scheduled, without those from outside."""
    return sum(goal.status == "open" and not goal.untrusted for goal in page.goals)
