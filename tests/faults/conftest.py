"""What the fault tests share: how long they are, their seed, and the table of their figures."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Figures
from tests.faults.shim import Shim, build, compiler

from clawd.testing.model import ScriptedModel


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """The number that all chance of this run comes from; ``scripts/faults --seed`` repeats one."""
    chosen = int(os.environ.get("CLAWD_FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    record_property("seed", chosen)
    return chosen


@pytest.fixture
def length() -> Callable[[int], int]:
    """How often to do something: so many times, or as many as ``scripts/faults --length`` says."""
    return lambda usual: int(os.environ.get("CLAWD_FAULTS_LENGTH") or usual)


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Takes what a run counted, for the table at the end."""

    def note(**counted: object) -> None:
        for name, value in counted.items():
            record_property(name, value)

    return note


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """A scripted model."""
    async with ScriptedModel() as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The figures of each test that has some."""
    rows = [
        (report.nodeid.rpartition("/")[2], report.outcome, dict(report.user_properties))
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call" and report.user_properties and "faults/" in report.nodeid
    ]
    if not rows or not os.environ.get("CLAWD_FAULTS_TABLE"):
        return
    terminalreporter.section("figures")
    for test, outcome, counted in rows:
        shown = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counted.items())
        terminalreporter.write_line(f"{outcome}  {test}: {shown}")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the preloaded shim is for Linux")
    if compiler() is None:
        pytest.skip("no C compiler (scripts/faults installs one)")
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def shim(library: Path, tmp_path: Path) -> Callable[[Path], Shim]:
    """Makes the orders for programs that work below a folder."""
    return lambda folder: Shim(library, tmp_path, folder)
