"""The session picker: a short list above the prompt; what is typed narrows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from prompt_toolkit.formatted_text import StyleAndTextTuples

from clawd.cli.clean import cut, one_line
from clawd.cli.output import JSON


@dataclass
class Picker:
    """The sessions to choose from, and where the choice stands."""

    sessions: list[JSON]
    draft: str
    at: int = field(default=0)

    def matching(self, typed: str) -> list[JSON]:
        """The sessions whose id or name contains what is typed."""
        wanted = typed.strip().lower()
        return [
            item
            for item in self.sessions
            if wanted in str(item["id"]).lower() or wanted in str(item.get("name", "")).lower()
        ]

    def moved(self, by: int, typed: str) -> None:
        """Move the choice, around the ends."""
        self.at = (self.at + by) % max(len(self.matching(typed)), 1)

    def chosen(self, typed: str) -> str | None:
        """The id that is chosen, if anything matches."""
        found = self.matching(typed)
        return str(found[min(self.at, len(found) - 1)]["id"]) if found else None

    def rows(self, typed: str, columns: int, most: int) -> StyleAndTextTuples:
        """The list as it is drawn: marks say who works and who has mail."""
        found = self.matching(typed)
        at = min(self.at, max(len(found) - 1, 0))
        first = max(at - most + 1, 0)
        fragments: StyleAndTextTuples = [
            ("class:queued", "pick a session: type to narrow, Enter, Esc\n")
        ]
        for index, item in enumerate(found[first : first + most], first):
            working = " · working" if item.get("status") == "busy" else ""
            unread = f" · ✉{item['unread']}" if item.get("unread") else ""
            about = one_line(str(item.get("description") or ""))
            row = f"{'>' if index == at else ' '} {item['id']}{working}{unread}  {about}"
            style = "class:picked" if index == at else ""
            fragments.append((style, cut(row, columns - 1)))
            fragments.append(("", "\n"))
        return fragments
