"""How soon clawd is there: the daemon, its memory, and the commands a human waits for.

    python benchmarks/start.py [FOLDER]

FOLDER (the current one unless named) must be on a real disk. Wall times of whole processes, each
round interleaved with `python -c pass`, the floor of anything written in Python. The daemon's time
runs from exec to its first answer to `GET /api/status`. Prints Markdown tables; medians.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
from house import make_home as make_model_home
from report import endpoint, processors, ratio, size, table

ROUNDS = size(9, 1)
STARTS = size(5, 1)
FEW, MANY = 3, size(1000, 20)
CLAWD = (sys.executable, "-m", "clawd")
_STATUS = b"GET /api/status HTTP/1.1\r\nHost: clawd\r\nConnection: close\r\n\r\n"


def make_home(home: Path, count: int) -> None:
    """A home of so many idle sessions, each with an identity of 1,000 bytes and a conversation."""
    sessions = {}
    for number in range(count):
        name = f"s-{number}"
        sessions[name] = {
            "description": f"Session {number}",
            "a2a": {"organization": f"org-{number // 10}"},
        }
        folder = home / "workspaces" / name
        folder.mkdir(parents=True)
        (folder / "SOUL.md").write_text("You are a helpful agent. " * 40)
    (home / "config.json").write_text(json.dumps({"sessions": sessions}))
    (home / "config.json").chmod(0o600)


@contextmanager
def daemon(home: Path) -> Iterator[tuple[float, int]]:
    """A running daemon: seconds from exec to its first answer, and its process id."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*CLAWD, "daemon", "run", "--home", str(home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(home / "state" / "clawd.sock"):
            assert process.poll() is None, "the daemon ended"
            assert time.perf_counter() - start < 300, "the daemon does not answer"
            time.sleep(0.001)
        yield time.perf_counter() - start, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _answers(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.connect(str(path))
        channel.sendall(_STATUS)
        response = http.client.HTTPResponse(channel)
        response.begin()
        return response.status == 200
    return False


def resident(process: int) -> float:
    """Resident memory of a process in KB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return float(line.split()[1])
    return 0.0


def command(home: Path, *arguments: str) -> Callable[[], float]:
    """Seconds of one run of a command line."""

    def run() -> float:
        environment = {**os.environ, "CLAWD_HOME": str(home)}
        start = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True, env=environment)
        return time.perf_counter() - start

    return run


def chat(home: Path) -> Callable[[], float]:
    """Seconds until the chat shows its prompt on a terminal."""

    def run() -> float:
        start = time.perf_counter()
        child = pexpect.spawn(
            CLAWD[0],
            [*CLAWD[1:], "chat", "-s", "s-0", "--home", str(home)],
            env={**os.environ, "TERM": "xterm-256color"},
            dimensions=(40, 100),
            encoding="utf-8",
            timeout=30,
        )
        child.expect("> \x1b")
        taken = time.perf_counter() - start
        child.close(force=True)
        return taken

    return run


def starts(few: Path, many: Path) -> str:
    """The daemon's start and memory, with few and with many sessions."""
    ready: dict[Path, list[float]] = {few: [], many: []}
    memory: dict[Path, list[float]] = {few: [], many: []}
    for number in range(STARTS + 1):
        for home in (few, many):
            with daemon(home) as (seconds, process):
                if number:  # the first one makes what a new home lacks
                    ready[home].append(seconds)
                    time.sleep(1.5)  # it loads its model client once it answers
                    memory[home].append(resident(process))
    each = [(m - f) / (MANY - FEW) for m, f in zip(memory[many], memory[few], strict=True)]
    rows = [
        (
            f"{count:,} sessions",
            f"{statistics.median(ready[home]) * 1e3:.0f}",
            f"{statistics.median(memory[home]) / 1024:.0f}",
        )
        for home, count in ((few, FEW), (many, MANY))
    ]
    text = table(("a daemon with", "ready after, ms", "resident, MB"), rows)
    return f"{text}\n\nMemory for each idle session: {statistics.median(each):.1f} KB."


def commands(few: Path, many: Path) -> str:
    """What a human waits for, in multiples of the floor."""
    with daemon(few), daemon(many):
        cases = {
            "python -c pass (floor)": command(few, sys.executable, "-c", "pass"),
            "clawd --version": command(few, *CLAWD, "--version"),
            "clawd --help": command(few, *CLAWD, "--help"),
            f"clawd sessions list, {FEW}": command(few, *CLAWD, "sessions", "list"),
            f"clawd sessions list, {MANY:,}": command(many, *CLAWD, "sessions", "list"),
            "clawd messages list": command(few, *CLAWD, "messages", "list"),
            "clawd chat, until its prompt": chat(few),
        }
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(ROUNDS + 1):
            for name, run in cases.items():
                seconds = run()
                if number:
                    taken[name].append(seconds)
    floor = taken["python -c pass (floor)"]
    rows = [
        (name, f"{statistics.median(values) * 1e3:.0f}", f"{ratio(values, floor):.1f}")
        for name, values in taken.items()
    ]
    return table(("command", "ms", "of the floor"), rows)


SCRIPT = """
import openai
answer = openai.OpenAI(base_url=%r, api_key="x").chat.completions.create(
    model="text-32", messages=[{"role": "user", "content": "hi"}], stream=True)
for chunk in answer:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="")
"""


def prompts(home: Path) -> str:
    """One prompt from the shell to its answer, beside a script that asks the endpoint itself."""
    with endpoint() as url:
        make_model_home(home, url, {"a": "text-32"})
        with daemon(home):
            cases = {
                "a script that imports openai": (sys.executable, "-c", SCRIPT % url),
                "clawd chat -p, the daemon running": (*CLAWD, "chat", "-s", "a", "-p", "hi"),
            }
            taken: dict[str, list[float]] = {name: [] for name in cases}
            for number in range(ROUNDS + 2):
                for name, arguments in cases.items():
                    seconds = command(home, *arguments)()
                    if number > 1:  # the daemon loads its model client with the first
                        taken[name].append(seconds)
    floor = taken["a script that imports openai"]
    rows = [
        (name, f"{statistics.median(values) * 1e3:.0f}", f"{ratio(values, floor):.2f}")
        for name, values in taken.items()
    ]
    return table(("one prompt, from the shell to its answer", "ms", "of the script"), rows)


def main() -> None:
    """Measure in temporary homes."""
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    print(f"{ROUNDS} rounds of commands, {STARTS} starts, {processors()}.\n")
    with (
        tempfile.TemporaryDirectory(dir=where, prefix=".few-") as few,
        tempfile.TemporaryDirectory(dir=where, prefix=".many-") as many,
        tempfile.TemporaryDirectory(dir=where, prefix=".one-") as one,
    ):
        make_home(Path(few), FEW)
        make_home(Path(many), MANY)
        print(starts(Path(few), Path(many)), end="\n\n")
        print(commands(Path(few), Path(many)), end="\n\n")
        print(prompts(Path(one)))
        print("\nGoal: 0.2.")


if __name__ == "__main__":
    main()
