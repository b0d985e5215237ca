"""What a look at the files of a home has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

JSON = dict[str, Any]
Severity = Literal["damage", "note"]


@dataclass(slots=True)
class Finding:
    """One thing about one file. ``damage`` is to be mended, a ``note`` is to be known.

    ``line`` counts from 1 and ``offset`` is in bytes, 0 and -1 where it is about the whole file;
    ``mended`` says what was done about it.
    """

    severity: Severity
    code: str
    text: str
    line: int = 0
    offset: int = -1
    mended: str = ""

    def as_json(self) -> JSON:
        """``{severity, code, text, line?, offset?, mended?}``."""
        fields: JSON = {"severity": self.severity, "code": self.code, "text": self.text}
        if self.line:
            fields |= {"line": self.line, "offset": self.offset}
        return fields | ({"mended": self.mended} if self.mended else {})


@dataclass(slots=True)
class FileReport:
    """One file: how much is in it, and what was found."""

    path: Path
    what: str
    owner: str = ""
    bytes: int = 0
    lines: int = 0
    records: int = 0
    superseded: int = 0
    repeated: int = 0
    sealed: int = 0
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> JSON:
        """The facts and findings of the file."""
        return {
            "path": str(self.path),
            "what": self.what,
            "session": self.owner or None,
            "bytes": self.bytes,
            "lines": self.lines,
            "records": self.records,
            "superseded": self.superseded,
            "repeated": self.repeated,
            "sealed": self.sealed,
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(slots=True)
class Report:
    """All files of a home. ``daemon`` is the id of the process that has it open, 0 for none."""

    home: Path
    files: list[FileReport] = field(default_factory=list)
    daemon: int = 0

    def count(self, severity: Severity, *, mended: bool = False) -> int:
        """How many findings of this kind there are that were mended, or were not."""
        found = (finding for file in self.files for finding in file.findings)
        return sum(f.severity == severity and bool(f.mended) == mended for f in found)

    @property
    def clean(self) -> bool:
        """Whether no damage is left."""
        return not self.count("damage")
