"""The daemons of tests are forks of one that has loaded clawd; that must make no difference."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from clawd.testing.daemon import DaemonDied, RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel
from clawd.testing.nursery import Child

LEAVES = """
import asyncio, os, sys
from pathlib import Path
from clawd.testing.daemon import RunningDaemon

async def main():
    daemon = RunningDaemon(Path(sys.argv[1]))
    await daemon.start()
    print(daemon.pid, flush=True)
    sys.stdin.readline()
    os._exit(0)

asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one session, whose endpoint nobody serves."""
    write_config(tmp_path, scripted("http://127.0.0.1:9/v1", "a"))
    return tmp_path


async def test_its_end_is_told(home: Path) -> None:
    """Several at once of one parent, each with the code of its own end."""
    daemon = RunningDaemon(home)
    await daemon.start()
    pid, watched = daemon.pid, os.pidfd_open(daemon.pid)
    second = RunningDaemon(home)
    with pytest.raises(DaemonDied, match="already runs") as refused:
        await second.start()
    assert refused.value.exit_status > 0
    daemon.signal(signal.SIGKILL)
    assert await daemon.gone() == -signal.SIGKILL
    assert select.select([watched], [], [], 0)[0]
    os.close(watched)
    async with daemon:
        assert (await daemon.get("/api/status"))["pid"] == daemon.pid != pid
    assert await daemon.stop() == 0


async def test_it_has_the_environment_of_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables and the folder are those at the start of each, not of the first."""
    for number, folder in enumerate(("one", "two")):
        home = tmp_path / folder
        home.mkdir()
        monkeypatch.setenv("KEY_OF_THIS_TEST", f"sk-{number}")
        monkeypatch.chdir(home)
        async with ScriptedModel() as model:
            config = scripted(model.url, "a")
            (template,) = config["providerTemplates"].values()
            template["apiKey"] = "${KEY_OF_THIS_TEST}"
            write_config(home, config)
            async with RunningDaemon(Path()) as daemon:
                await daemon.say("a", "hello")
            assert model.requests[-1].headers["authorization"] == f"Bearer sk-{number}"


async def test_several_wait_for_one_end() -> None:
    """Each is told of it, also when one gives up waiting."""
    nursery, report = socket.socketpair()
    report.setblocking(False)
    with nursery:
        child = Child(1, report)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            waiting = [group.create_task(child.wait()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            nursery.sendall((7).to_bytes(4, "big"))
    assert [task.result() for task in waiting[1:]] == [7, 7]


async def test_one_that_died_is_replaced(home: Path) -> None:
    """A later daemon has another one, as if nothing had been."""
    daemon = RunningDaemon(home)
    await daemon.start()
    status = await asyncio.to_thread(Path(f"/proc/{daemon.pid}/status").read_text)
    (parent,) = re.findall(r"^PPid:\s(\d+)$", status, re.MULTILINE)
    await daemon.kill()
    watched = os.pidfd_open(int(parent))
    os.kill(int(parent), signal.SIGKILL)
    assert select.select([watched], [], [], 20)[0]
    os.close(watched)
    async with daemon:
        assert (await daemon.get("/api/status"))["pid"] == daemon.pid


def test_it_does_not_outlive_the_tests(home: Path) -> None:
    """A run of tests that dies takes its daemons along, however it dies."""
    line = [sys.executable, "-c", LEAVES, str(home)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        assert tests.stdin is not None
        assert tests.stdout is not None
        watched = os.pidfd_open(int(tests.stdout.readline()))
        tests.stdin.close()
        ended, _, _ = select.select([watched], [], [], 20)
        os.close(watched)
    assert ended
