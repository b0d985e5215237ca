"""A disk that refuses: nobody is told that something is kept when it is not."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel, say


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)]
    subprocess.run(command, check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_a_full_disk_refuses_what_it_cannot_keep(
    small_disk: Path, model: ScriptedModel
) -> None:
    """R03: on a full disk lines and turns fail saying so, every line parses, then all goes on."""
    write_config(small_disk, scripted(model.url, "a"))
    async with RunningDaemon(small_disk) as daemon:
        gate = model.hold("a")
        model.script("a", [say("long " * 5000), say("again")])
        turn = await daemon.prompt("a", "hello")
        await gate.reached()
        ballast = small_disk / "ballast"
        fill(ballast)
        with pytest.raises(ApiError) as refused:
            await daemon.post("/api/sessions/a/prompt", text="x" * 8192)
        assert refused.value.http == 507
        gate.open()
        failed = await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == turn)
        assert failed["error"]["error"] == "storage_full"
        assert "history.jsonl" in failed["error"]["message"]
        ballast.unlink()
        assert await daemon.say("a", "hello again") == "again"
    assert all(lines_of(small_disk / "workspaces/a/history.jsonl"))
