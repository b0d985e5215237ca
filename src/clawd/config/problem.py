"""One thing that is wrong with a configuration, with its place and its mend."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

Path = tuple[str | int, ...]
"""The way from the top of a JSON document to a value: keys and list indexes."""

_PLAIN = re.compile(r"[A-Za-z0-9_$-]+")


@dataclass(frozen=True)
class Problem:
    """A problem at ``path``; line and column count from 1, and are 0 when there is no place.

    An ``error`` keeps the configuration from being used; a ``warning`` does not.
    """

    path: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    file: str = "config.json"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        words = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{words}. {self.hint}" if self.hint else words


def dotted(path: Path) -> str:
    """A path as it is shown: ``sessions.coder.tools.load[0]``; odd keys are quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part if len(part) <= 80 else part[:80] + '…')}]"
    return text
