"""The command line itself: no daemon runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawd.cli.groups import LazyGroup
from clawd.cli.root import root

FORBIDDEN = ("pydantic", "openai", "starlette", "msgspec", "rich", "prompt_toolkit", "asyncio")


def clawd(
    home: Path, *words: str, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line as a user would, on this home."""
    return subprocess.run(
        [sys.executable, "-m", "clawd", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "CLAWD_HOME": str(home)},
    )


def every_command(group: LazyGroup, *path: str) -> list[tuple[str, ...]]:
    """The names that lead to every command and group of the tree."""
    found: list[tuple[str, ...]] = []
    with group.make_context("clawd", [], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            found.append((*path, name))
            inner = group.get_command(context, name)
            if isinstance(inner, LazyGroup):
                found += every_command(inner, *path, name)
    return found


@pytest.mark.parametrize("path", every_command(root), ids=" ".join)
def test_every_command_has_help_with_two_examples(path: tuple[str, ...]) -> None:
    """-h of every command ends with two examples of its own, and names the common options."""
    context = root.make_context("clawd", [], resilient_parsing=True)
    command = root.get_command(context, path[0])
    assert command is not None
    for name in path[1:]:
        assert isinstance(command, LazyGroup)
        command = command.get_command(context, name)
        assert command is not None
    text = command.get_help(
        command.make_context(" ".join(("clawd", *path)), [], None, resilient_parsing=True)
    )
    examples = text.split("Examples:")[1].strip().splitlines()
    assert len(examples) >= 2
    assert all("clawd" in example for example in examples)
    for option in ("--json", "--home", "--plain", "--no-color", "--timeout", "-q", "-v"):
        assert option in text


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("sessions", "list"), ("messages", "list"), ("tasks", "list"),
        ("providers", "list"), ("tools", "list"), ("events",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_without_a_daemon_exit_is_4(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A command that needs the daemon says that none runs and how to start one."""
    ended = clawd(tmp_path, *words)
    assert ended.returncode == 4
    assert ended.stdout == ""
    assert "clawd start" in ended.stderr


def test_errors_are_documents_with_json(tmp_path: Path) -> None:
    """--json before or after the command gives the envelope on stdout, the same exit code."""
    for words in (("--json", "status"), ("status", "--json")):
        ended = clawd(tmp_path, *words)
        assert ended.returncode == 4
        document = json.loads(ended.stdout)
        assert document["schema"] == "clawd.error/1"
        assert document["error"]["code"] == "daemon_unreachable"
        assert document["error"]["hint"]


def test_wrong_usage_is_2(tmp_path: Path) -> None:
    """An unknown command or option ends with 2; the nearest command is named."""
    ended = clawd(tmp_path, "statsu")
    assert ended.returncode == 2
    assert "status" in ended.stderr
    assert clawd(tmp_path, "status", "--nonsense").returncode == 2
    document = json.loads(clawd(tmp_path, "sessions", "lst", "--json").stdout)
    assert document["error"]["code"] == "usage"


def test_bare_clawd_without_a_terminal_is_help(tmp_path: Path) -> None:
    """Without a terminal and without a command: the help on stderr, exit 2."""
    ended = clawd(tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Commands:" in ended.stderr


def test_a_home_without_configuration_is_3(tmp_path: Path) -> None:
    """What starts a daemon says where the configuration is missing and how to make one."""
    for words in (("start",), ("chat", "-p", "hello"), ("send", "default", "hello")):
        ended = clawd(tmp_path, *words)
        assert ended.returncode == 3, ended
        assert str(tmp_path / "config.json") in ended.stderr
        assert "clawd init" in ended.stderr


def test_home_rules(tmp_path: Path) -> None:
    """--home wins over CLAWD_HOME, which wins over a folder with a config.json, then ~/.clawd."""
    here = tmp_path / "here"
    here.mkdir()

    def home(*words: str, cwd: Path = tmp_path, variable: str = "") -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "clawd", *words, "version", "--json"],
            capture_output=True, text=True, timeout=30, check=True, cwd=cwd,
            env={**os.environ, "CLAWD_HOME": variable, "HOME": str(tmp_path)},
        )  # fmt: skip
        return str(json.loads(ended.stdout)["home"])

    assert home("--home", "x", variable="/v") == str(tmp_path / "x")
    assert home(variable="/v") == "/v"
    assert home(cwd=here) == str(tmp_path / ".clawd")
    (here / "config.json").write_text("{}")
    assert home(cwd=here) == str(here)


def test_version(tmp_path: Path) -> None:
    """The version is one line on stdout."""
    assert clawd(tmp_path, "--version").stdout.startswith("clawd ")
    assert clawd(tmp_path, "version").stdout.startswith("clawd ")


@pytest.mark.parametrize(
    "words",
    [
        ("--version",), ("-h",), ("version",), ("status",), ("sessions", "list"),
        ("sessions", "show", "default"), ("messages", "list"), ("tasks", "list"),
        ("providers", "list"), ("tools", "list"), ("send", "default", "hi"), ("stop",),
        ("logs",), ("chat", "-p", "hi"), ("completions", "bash"), ("events",),
        ("doctor", "-h"), ("config", "path"), ("init", "-h"), ("demo", "-h"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_one_shot_commands_stay_light(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A one-shot command loads neither pydantic nor openai nor any other heavy library."""
    program = (
        "import sys\n"
        "from clawd.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    print('LOADED', *(m for m in sys.modules if '.' not in m), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "CLAWD_HOME": str(tmp_path)}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    loaded = ended.stderr.rsplit("LOADED", 1)[1].split()
    assert not set(FORBIDDEN) & set(loaded)


def test_a_group_without_a_command_is_helped_once(tmp_path: Path) -> None:
    """Its help, once, on stderr; with --json the error as a document."""
    ended = clawd(tmp_path, "sessions")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("Usage:") == 1
    assert "Commands:" in ended.stderr
    ended = clawd(tmp_path, "sessions", "--json")
    assert (ended.returncode, ended.stderr) == (2, "")
    assert json.loads(ended.stdout)["error"]["code"] == "usage"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("sesions", "sessions"), ("statu", "status"), ("lgos", "logs"), ("bogus", ""), ("xyz", "")],
)
def test_only_a_slip_of_the_pen_is_guessed_at(tmp_path: Path, typed: str, meant: str) -> None:
    """What is like no command is not answered with one."""
    ended = clawd(tmp_path, typed)
    assert ended.returncode == 2
    assert f"There is no command '{typed}'." in ended.stderr
    guess = f"Did you mean '{meant}'?"
    assert (guess in ended.stderr) if meant else ("Did you mean" not in ended.stderr)
