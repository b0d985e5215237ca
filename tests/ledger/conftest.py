"""What every test of the ledger has: one that is empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawd.storage.writer import Writer
from clawd.testing.books import Books


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    """An empty ledger without limits."""
    writer = Writer()
    writer.start()
    yield Books(tmp_path, writer)
    await writer.close()
