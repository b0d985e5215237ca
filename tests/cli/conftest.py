"""A home with a running daemon, used as a user would: through the command alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LIMIT = 30.0


@dataclass
class Home:
    """A home, and the command line on it."""

    path: Path
    environment: dict[str, str]

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``clawd WORDS`` to its end."""
        return subprocess.run(
            self.line(*words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            env=self.environment,
        )

    @contextmanager
    def started(self, *words: str, **streams: Any) -> Iterator[subprocess.Popen[str]]:
        """``clawd WORDS`` while it runs; it never outlives the block, whatever happens there."""
        with subprocess.Popen(
            self.line(*words), env=self.environment, text=True, **streams
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def json(self, *words: str) -> dict[str, Any]:
        """What ``clawd WORDS --json`` answers; the command must end well."""
        ended = self.run(*words, "--json")
        assert ended.returncode == 0, ended
        document: dict[str, Any] = json.loads(ended.stdout)
        return document

    def silence(self, port: int) -> None:
        """Let ``default`` be answered by an endpoint that never says anything."""
        template = {
            "name": "Silent", "endpoint": f"http://127.0.0.1:{port}/v1",
            "availableModels": ["m"], "defaultModel": "m",
        }  # fmt: skip
        config = {"providerTemplates": {"silent": template}, "sessions": {"default": {}}}
        (self.path / "config.json").write_text(json.dumps(config))

    def line(self, *words: str) -> list[str]:
        """The command line as a list."""
        return [sys.executable, "-m", "clawd", *words]


def home_at(path: Path) -> Home:
    """A home of its own: nothing of the user's environment reaches it."""
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LANG") if key in os.environ}
    fixed = {"CLAWD_HOME": str(path), "HOME": str(path), "TERM": "xterm-256color"}
    return Home(path, {**kept, **fixed})


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``clawd init`` leaves, once for all tests: it proves its provider, which takes time."""
    made = home_at(tmp_path_factory.mktemp("initialised") / "h")
    ended = made.run("init", "--provider", "offline")
    assert ended.returncode == 0, ended
    return made.path


@pytest.fixture
def home(initialised: Path, tmp_path: Path) -> Iterator[Home]:
    """An initialised home; its daemon, if one runs at the end, is stopped."""
    made = home_at(tmp_path / "h")
    shutil.copytree(initialised, made.path)
    yield made
    made.run("stop")


@pytest.fixture(scope="module")
def shared(initialised: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a running daemon for the tests of one file that only add to it."""
    made = home_at(tmp_path_factory.mktemp("shared") / "h")
    shutil.copytree(initialised, made.path)
    assert made.run("start").returncode == 0
    yield made
    assert made.run("stop").returncode == 0


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])
