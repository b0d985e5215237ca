"""R02: the power goes. ext4 on a loop device, shut down by force, mounted again."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Aftermath, Figures
from tests.faults.shim import Shim
from tests.faults.test_kill_loop import report, settled, unexpected
from tests.faults.workload import Workload

from clawd.config.last_good import last_good_file
from clawd.testing.daemon import RunningDaemon
from clawd.testing.model import ScriptedModel

_SHUTDOWN = 0x8004587D
"""``EXT4_IOC_SHUTDOWN``; with flag 2 nothing more is written, not even the journal."""
_NO_FLUSH = struct.pack("I", 2)
MEGABYTES = 128


class Disk:
    """A file system whose power can be cut: what was not synced is gone."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "disk"
        self._device = ""
        self._image = place / "image"

    def make(self) -> None:
        """Make it, and mount it."""
        self.folder.mkdir()
        with self._image.open("wb") as image:
            image.truncate(MEGABYTES * 2**20)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._device = _run("losetup", "--find", "--show", str(self._image)).strip()
        self.mount()

    def mount(self) -> None:
        """Mount it; the journal is replayed, as after any cut."""
        _run("mount", "-t", "ext4", self._device, str(self.folder))

    def cut(self) -> None:
        """Cut the power: from now on nothing reaches the disk.

        This takes the kernel a millisecond or two, in which an ``fdatasync`` may say yes to what
        is lost: bare appends, with nothing of clawd in them, lose lines so in one cut of six, and
        none that was acknowledged before. So what is acknowledged from the beginning of the cut on
        is no promise; with real power there would be nobody to hear it.
        """
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _NO_FLUSH)
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Take it away; what only memory held is lost."""
        _run("umount", str(self.folder))

    def close(self) -> None:
        """Leave nothing of it."""
        subprocess.run(["umount", "--lazy", self.folder], check=False, capture_output=True)
        if self._device:
            _run("losetup", "--detach", self._device)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk whose power can be cut; skipped, with the reason, where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("cutting the power needs root, for a file system on a loop device")
    for tool in ("mkfs.ext4", "losetup"):
        if shutil.which(tool) is None:
            pytest.skip(f"cutting the power needs {tool}")
    made = Disk(tmp_path)
    try:
        made.make()
    except OSError as error:
        made.close()
        pytest.skip(f"no file system on a loop device here: {error}")
    yield made
    made.close()


@pytest.mark.faults
@pytest.mark.timeout(1800)
async def test_twenty_cuts_lose_nothing(
    disk: Disk, model: ScriptedModel, seed: int, figures: Figures, length: Callable[[int], int]
) -> None:
    """R02: after each cut all that was promised is there, and the daemon starts by itself."""
    work = Workload(seed, model)
    home = disk.folder / "home"
    home.mkdir()
    work.prepare(home)
    os.sync()
    cuts = length(20)
    chance = random.Random(seed)
    for cut in range(cuts):
        await cut_at_work(disk, home, work, chance.randint(40, 250), chance.uniform(0, 0.02))
        report(f"cut {cut}, seed {seed}, {home}", found(home, work))
    async with RunningDaemon(home, fresh=True) as daemon:
        await settled(daemon)
    after = Aftermath(home)
    findings = found(home, work) | {
        "come twice": after.doubled(),
        "never delivered": after.undelivered(work.ledger),
        "tasks without exactly one verdict": after.unsettled(),
    }
    report(f"after {cuts} cuts, seed {seed}, {home}", findings)
    figures(cuts=cuts, **work.ledger.figures(), lost=0, doubled=0)
    # While the disk was gone, what needed it was refused with these words, and nothing else.
    gone = {"storage_error", "workspace_not_made"}
    assert not unexpected(work.ledger) - gone, work.ledger.refused


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_the_cut_has_teeth(
    disk: Disk, shim: Callable[[Path], Shim], model: ScriptedModel, seed: int, figures: Figures
) -> None:
    """R02: with syncs that lie, the same cut loses what was promised: the test would notice."""
    work = Workload(seed, model)
    home = disk.folder / "home"
    home.mkdir()
    work.prepare(home)
    os.sync()
    lying = shim(home)
    lying.control["lie"] = 1
    await cut_at_work(disk, home, work, 200, 0, environ=lying.environ)
    lost = len(Aftermath(home).missing(work.ledger))
    figures(promised=work.ledger.acknowledged(), lost=lost)
    assert lost > 0


async def cut_at_work(
    disk: Disk, home: Path, work: Workload, promises: int, later: float, **options: Any
) -> None:
    """One life under load; the power goes a little after so many acknowledgements."""
    daemon = RunningDaemon(home, heard=lambda _: None, fresh=True, **options)
    await daemon.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(work.until(daemon, promises))
        await work.enough.wait()
        # The operator saves something at the last moment, with an editor that syncs nothing.
        work.prepare(home, **{"x-edit": promises})
        await asyncio.sleep(later)
        work.hears = False
        await asyncio.to_thread(disk.cut)
        daemon.signal(signal.SIGKILL)
    await daemon.gone()
    await asyncio.to_thread(disk.unmount)
    await asyncio.to_thread(disk.mount)


def found(home: Path, work: Workload) -> dict[str, list[str]]:
    """What is wrong right after the cut, before anything mends it."""
    after = Aftermath(home, whole=False)
    broken = [f"{path}: not whole" for path in (last_good_file(home),) if not whole(path)]
    return {
        "promised and not there": after.missing(work.ledger),
        "sessions by halves": after.halves(work.ledger),
        "configurations by halves": broken,
    }


def whole(path: Path) -> bool:
    """Whether it is JSON to its end."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
