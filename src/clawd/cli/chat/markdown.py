"""Cut a stream of Markdown into finished blocks, so that each is rendered once."""

from __future__ import annotations

import re

_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")


class Blocks:
    """Takes text as it comes; a block ends at a blank line, or where its code fence closes."""

    def __init__(self) -> None:
        self.text = ""
        self.tail = ""
        self._line = ""
        self._fence = ""

    def feed(self, delta: str) -> list[str]:
        """The blocks that this text finishes; what is not finished stays in ``tail``."""
        self.text += delta
        finished = []
        start = 0
        while (end := delta.find("\n", start)) >= 0:
            self._line += delta[start:end]
            self.tail += delta[start : end + 1]
            start = end + 1
            if self._ends_block():
                if self.tail.strip():
                    finished.append(self.tail.strip("\n"))
                self.tail = ""
            self._line = ""
        self._line += delta[start:]
        self.tail += delta[start:]
        return finished

    def finish(self) -> list[str]:
        """The rest, as the last block, if there is any."""
        rest, self.tail, self._line = self.tail.strip("\n"), "", ""
        return [rest] if rest.strip() else []

    def _ends_block(self) -> bool:
        fence = _FENCE.fullmatch(self._line)
        if self._fence:
            if fence and fence[1].startswith(self._fence) and not fence[2].strip():
                self._fence = ""
                return True
            return False
        if fence and not ("`" in fence[1] and "`" in fence[2]):
            self._fence = fence[1]
            return False
        return not self._line.strip()
