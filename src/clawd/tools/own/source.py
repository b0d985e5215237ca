"""The folder ``<home>/tools``: where the operator's modules are, and whether they have changed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

MOST = 500
"""How many files are looked at to see a change."""

Signature = tuple[tuple[str, int, int, int], ...]


class Source:
    """Modules in a folder on ``sys.path``; what is installed comes first, and is never hidden."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def signature(self) -> Signature:
        """What changes when a file does (blocking)."""
        return tuple(sorted(self._files()))

    def fresh(self) -> None:
        """Forget what was imported from here, so that it is read anew.

        Functions that are held go on as they were.
        """
        if (path := str(self.folder)) not in sys.path:
            sys.path.append(path)
        for name, module in list(sys.modules.items()):
            if self.holds(getattr(module, "__file__", None)):
                del sys.modules[name]
        importlib.invalidate_caches()

    def holds(self, file: str | None) -> bool:
        """Whether a module's file is of this folder."""
        return bool(file) and Path(str(file)).is_relative_to(self.folder)

    def has(self, module: str) -> bool:
        """Whether there is a file, or a package, for the first part of this name."""
        first = module.partition(".")[0]
        return (self.folder / f"{first}.py").exists() or (self.folder / first).is_dir()

    def _files(self) -> Iterator[tuple[str, int, int, int]]:
        walk = (
            os.path.join(path, name)
            for path, folders, names in os.walk(self.folder)
            if os.path.basename(path) != "__pycache__"
            for name in names
            if name.endswith(".py")
        )
        for path in islice(walk, MOST):
            try:
                facts = os.stat(path)
            except OSError:
                continue
            yield path, facts.st_mtime_ns, facts.st_size, facts.st_ino
