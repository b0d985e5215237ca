"""What one check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """What one check found, what mends it ("" when there is nothing to do), and what was done."""

    name: str
    state: State
    message: str
    mend: str = ""
    fixed: str = ""


def size(count: float) -> str:
    """Bytes in words, such as ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
