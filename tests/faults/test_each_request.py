"""R03: what a running daemon answers when any I/O call behind a request fails, or is its last."""

from __future__ import annotations

import asyncio
import errno
import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.faults.ledger import Aftermath, Figures
from tests.faults.shim import EVERY, Kind, Mode, Shim
from tests.faults.test_kill_loop import report

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel

JSON = dict[str, Any]
TARGETS = 60
BACK_SECONDS = 5.0
REFUSALS = {"storage_error", "storage_full", "workspace_not_made"}


class Requests:
    """One request of each kind, by a word that is found again; and whether it is there."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self.daemon = daemon
        self._fresh = itertools.cycle(range(TARGETS))
        self._prepared = ""

    async def prepare(self, kind: str, word: str) -> None:
        """What the request needs, before anything is to fail."""
        if kind == "read":
            sent = await self.daemon.post("/api/messages", to="quiet", content=word)
            self._prepared = sent["id"]
        if kind in ("complete", "cancel"):
            task = await self.daemon.post(
                "/api/tasks", toSession="operator", fromSession="quiet", task=word
            )
            self._prepared = task["id"]

    async def ask(self, kind: str, word: str) -> None:
        """The request; ``ApiError`` when it is refused."""
        daemon, quiet = self.daemon, f"t{next(self._fresh)}"
        match kind:
            case "send":
                await daemon.post("/api/messages", to="quiet", content=word)
            case "send to a new mailbox":
                await daemon.post("/api/messages", to=quiet, content=word)
            case "read":
                await daemon.post("/api/messages/read", ids=[self._prepared])
            case "delegate":
                await daemon.post(
                    "/api/tasks", toSession="operator", fromSession="quiet", task=word
                )
            case "complete":
                await daemon.post(f"/api/tasks/{self._prepared}/complete", result=word)
            case "cancel":
                await daemon.post(f"/api/tasks/{self._prepared}/cancel", reason=word)
            case "create":
                await daemon.post("/api/sessions", session_id=word, provider_template="scripted")
            case "hide":
                await daemon.ask("PATCH", f"/api/sessions/{quiet}", json={"model": word})
            case "compact":
                await daemon.post("/api/messages/compact", session="quiet")
            case "prompt":
                await daemon.say("talker", word)


KINDS = (
    "send", "send to a new mailbox", "read", "delegate", "complete", "cancel", "create", "compact",
    "prompt",
)  # fmt: skip


@dataclass
class Answers:
    """How each request ended, by its kind and word."""

    kept: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    faults: int = 0


def there(after: Aftermath, kind: str, word: str) -> bool:
    """Whether what was asked for is on disk."""
    match kind:
        case "send" | "send to a new mailbox":
            return any(m["content"] == word for m in after.messages.values())
        case "read":
            return any(m["content"] == word and m["read"] for m in after.messages.values())
        case "delegate":
            return any(t["task"] == word for t in after.tasks.values())
        case "complete":
            return any(t.get("result") == word for t in after.tasks.values())
        case "cancel":
            return any(t.get("reason") == word for t in after.tasks.values())
        case "create":
            return word in after.created and (after.home / "workspaces" / word).exists()
        case "prompt":
            return any(t["trigger"].get("text") == word for t in after.turns.values())
    return True


async def fail_each(
    home: Path, model: ScriptedModel, shim: Shim, figures: Figures, mode: Mode, number: int = 0,
    *, again: bool = False, kinds: Kind = EVERY,
) -> None:  # fmt: skip
    """For each request: let its first call fail, then its second, until there are no more."""
    quiet = {"a2a": {"wakeOnMessage": False}}
    names = ["talker", "quiet", *(f"t{n}" for n in range(TARGETS))]
    config = scripted(model.url, *names, **dict.fromkeys(names[1:], quiet))
    write_config(home, config)
    answers = Answers()
    control = shim.control
    async with RunningDaemon(home, environ=shim.environ) as daemon:
        requests = Requests(daemon)
        await requests.ask("send", "the first")
        for kind in KINDS:
            for at in itertools.count(1):
                word = f"{kind.replace(' ', '-')}-{at}"
                await requests.prepare(kind, word)
                control.strike(at, mode, number, again=again, kinds=kinds)
                await one(requests, kind, word, answers)
                fired = control["fired"]
                control.rest()
                if not fired:
                    break
                answers.faults += 1
                if mode in (Mode.KILL_BEFORE, Mode.KILL_AFTER, Mode.TORN):
                    assert await daemon.gone() == -9
                    await daemon.start()
                await goes_on(requests, kind, f"{word}-again", answers)
                assert at < 200, kind
        # A creator who could not be told is told once the disk takes it.
        async with asyncio.timeout(BACK_SECONDS):
            for task in (await daemon.get("/api/tasks", limit=10**6))["items"]:
                if task.get("completedAt"):
                    await daemon.verdicts(task["id"], "quiet")
    after = Aftermath(home)
    report(
        str(home),
        {
            "answers that are wrong": answers.wrong,
            "lines that do not parse": after.broken,
            "promised and not there": [
                f"{k}: {w}" for k, ws in answers.kept.items() for w in ws if not there(after, k, w)
            ],
            "refused and there": [
                f"{k}: {w}" for k, ws in answers.refused.items() for w in ws
                if k != "compact" and there(after, k, w)
            ],
            "told or shown twice": after.doubled(),
            "ended tasks without exactly one verdict": [
                f"{task}: {after.told[i]}" for i, task in after.tasks.items()
                if task.get("completedAt") and after.told[i] != 1
            ],
            "uses of a descriptor whose sync failed": ["some"] * min(1, control["distrusted"]),
        },
    )  # fmt: skip
    figures(faults=answers.faults, back_within=f"{answers.slowest:.2f} s")


async def one(requests: Requests, kind: str, word: str, answers: Answers) -> None:
    """The request under the fault."""
    try:
        await requests.ask(kind, word)
    except ApiError as error:
        answers.refused[kind].append(word)
        if error.code not in REFUSALS or error.http not in (0, 507):
            answers.wrong.append(f"{kind}: {word}: {error.http} {error.code}: {error}")
        if kind == "prompt" and error.http == 0:
            # The line was accepted; it is the turn that failed.
            answers.refused[kind].remove(word)
            answers.kept[kind].append(word)
    except (httpx2.TransportError, TimeoutError):
        pass
    else:
        answers.kept[kind].append(word)


async def goes_on(requests: Requests, kind: str, word: str, answers: Answers) -> None:
    """Once the fault is over, the same request is served at once."""
    began = time.monotonic()
    try:
        await requests.prepare(kind, word)
        async with asyncio.timeout(BACK_SECONDS):
            await requests.ask(kind, word)
    except (ApiError, TimeoutError) as error:
        answers.wrong.append(f"{kind}: {word} after the fault: {error!r}")
    else:
        answers.kept[kind].append(word)
    answers.slowest = max(answers.slowest, time.monotonic() - began)


async def test_each_call_fails_once(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], figures: Figures
) -> None:
    """R03, M20: EIO from each call behind each request: refused without a trace, or kept."""
    home = tmp_path / "home"
    home.mkdir()
    await fail_each(home, model, shim(home), figures, Mode.ERROR, errno.EIO)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("mode", "number", "again", "kinds"),
    [
        pytest.param(Mode.ERROR, errno.ENOSPC, True, EVERY, id="full until space returns"),
        pytest.param(Mode.ERROR, errno.EIO, True, Kind.SYNC, id="EIO from every sync for a while"),
        pytest.param(Mode.SHORT, errno.ENOSPC, True, EVERY, id="a short write, then full"),
        pytest.param(Mode.KILL_BEFORE, 0, False, EVERY, id="killed before"),
        pytest.param(Mode.KILL_AFTER, 0, False, EVERY, id="killed after"),
        pytest.param(Mode.TORN, 0, False, Kind.WRITE, id="killed in the middle of a write"),
    ],
)
async def test_each_call_behind_each_request(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], figures: Figures,
    mode: Mode, number: int, again: bool, kinds: Kind,
) -> None:  # fmt: skip
    """R03, M20, M21: the same for a disk that stays full or broken for a while, and for kills."""
    home = tmp_path / "home"
    home.mkdir()
    await fail_each(home, model, shim(home), figures, mode, number, again=again, kinds=kinds)
