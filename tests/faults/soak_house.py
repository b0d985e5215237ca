"""A daemon inside this process, asked over its socket: its memory can be looked into."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import types
from collections import Counter, deque
from pathlib import Path
from typing import Any

from clawd.daemon.app import Daemon
from clawd.daemon.reload import Configuration
from clawd.storage.files import make_private_folder
from clawd.testing.daemon import RunningDaemon

SECONDS = 20.0
ROOMS = ("clawd", "asyncio", "starlette", "uvicorn", "httpx2", "openai", "_asyncio")
_PLAIN = (str, bytes, int, float, bool, type(None))
_OUTSIDE = (types.ModuleType, type, types.FunctionType, types.CodeType, types.FrameType)


class HouseHere(RunningDaemon):
    """A daemon that is a task of the test instead of a process."""

    def __init__(self, home: Path, group: asyncio.TaskGroup) -> None:
        super().__init__(home)
        self.daemon: Daemon | None = None
        self._group = group
        self._task: asyncio.Task[bool] | None = None

    async def start(self) -> None:
        """Run it until it answers."""
        make_private_folder(self.home / "state")
        configuration = Configuration(self.home)
        configuration.load()
        self.daemon = Daemon(self.home, configuration, time.perf_counter())
        self._task = self._group.create_task(self.daemon.run())
        async with asyncio.timeout(SECONDS):
            await self.daemon.ready.wait()
            await self.daemon.models.warm()
        await self._connect()

    async def stop(self) -> int:
        """End it in good order."""
        if self.daemon is not None and self._task is not None and self._reading is not None:
            self.daemon.stop()
            await self._task
            self._reading.cancel()
            await self._running.aclose()
            self.daemon = None
        return 0

    @property
    def house(self) -> Daemon:
        """The daemon's own object."""
        if self.daemon is None:
            raise RuntimeError("the daemon does not run")
        return self.daemon

    async def census(self) -> Counter[str]:
        """How many objects of each kind the collector knows, without the events kept for viewers.

        Also the open files and the asyncio tasks.
        """
        files = await _open_files()
        self.events.clear()
        self.house.stream._recent.clear()
        gc.collect()
        found = Counter(
            f"{type(o).__module__}.{type(o).__qualname__}"
            for o in gc.get_objects()
            if str(type(o).__module__).partition(".")[0] in ROOMS
        )
        found["objects"] = len(gc.get_objects())
        found["files"] = files
        found["tasks"] = len(asyncio.all_tasks())
        return found

    def paths_to(self, word: str) -> list[str]:
        """Where in the daemon's memory a text with this word still is, as paths of attributes."""
        self.house.stream._recent.clear()
        found: list[str] = []
        seen: set[int] = set()
        queue: deque[tuple[Any, str]] = deque([(self.house, "daemon")])
        while queue:
            thing, path = queue.popleft()
            if isinstance(thing, str):
                if word in thing:
                    found.append(path)
                continue
            if id(thing) in seen or isinstance(thing, (*_PLAIN, *_OUTSIDE)):
                continue
            seen.add(id(thing))
            queue.extend(_inside(thing, path))
        return found


async def _open_files() -> int:
    """The most within half a second: the watch on the folders is taken down and made anew."""
    most = 0
    for _ in range(50):
        most = max(most, len(os.listdir("/proc/self/fd")))
        await asyncio.sleep(0.01)
    return most


def _inside(thing: Any, path: str) -> list[tuple[Any, str]]:
    """What an object holds, each with its path."""
    if isinstance(thing, dict):
        pairs = list(thing.items())
        keys = [(key, f"{path}[key]") for key, _ in pairs]
        return keys + [(value, f"{path}[{str(key)[:40]}]") for key, value in pairs]
    if isinstance(thing, list | tuple | set | frozenset | deque):
        return [(one, f"{path}[]") for one in list(thing)]
    if type(thing).__module__.partition(".")[0] not in (
        "clawd",
        "functools",
        "builtins",
        "weakref",
    ):
        return []
    names = [*getattr(thing, "__dict__", ())]
    for kind in type(thing).__mro__:
        slots = getattr(kind, "__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    names += list(getattr(thing, "__struct_fields__", ()))
    held = [(getattr(thing, n, None), f"{path}.{n}") for n in dict.fromkeys(names)]
    if isinstance(thing, types.MethodType):
        held.append((thing.__self__, f"{path}()"))
    return held


BOUNDED = (
    "objects",  # all of them together: what is looked at one by one, and what is below
    "asyncio.events.TimerHandle",  # cancelled ones stay in asyncio's heap for a while
    "clawd.ledger.purse.Purse",  # of the newest 20,000 traces, and of who paid today
    "clawd.ledger.totals.Sum",  # of the newest 20,000 tasks, and of each session that ever paid
    "clawd.daemon.notices.Kept",  # the newest, for whoever asks what happened
    "clawd.comms.traces.Trace",  # the newest 10,000 are remembered
)


def grown(before: Counter[str], after: Counter[str], by: int = 5) -> list[str]:
    """What grew by at least so many, of what has no bound of its own."""
    return [
        f"{name}: {before[name]} → {count}"
        for name, count in sorted(after.items())
        if name not in BOUNDED and count - before[name] >= by
    ]
