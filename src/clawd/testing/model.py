"""A scripted model: a real OpenAI-compatible HTTP server on 127.0.0.1 that does as it is told.

``async with ScriptedModel() as model:`` in a test, or as a process of its own::

    python -m clawd.testing.model --port 8399 --script answers.json [--loop]
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from clawd.testing.answer import Answer
from clawd.testing.embeddings import Embeddings
from clawd.testing.faults import (
    cut,
    cut_in_arguments,
    empty_body,
    end_without_finish,
    error,
    fail,
    fail_inside,
    flood,
    garbage,
    hang,
    html,
    overflow,
    reset,
    stall,
)
from clawd.testing.script import steps_of
from clawd.testing.steps import (
    Call,
    Gate,
    Step,
    call,
    calls,
    empty,
    length,
    raw_call,
    say,
    slow,
    tool,
)
from clawd.testing.strict import violation

__all__ = [
    "Call", "Gate", "Recorded", "ScriptedModel", "Step", "call", "calls", "cut", "cut_in_arguments",
    "empty", "empty_body", "end_without_finish", "error", "fail", "fail_inside", "flood", "garbage",
    "hang", "html", "length", "overflow", "raw_call", "reset", "say", "slow", "stall", "tool",
]  # fmt: skip

Rule = Callable[[dict[str, Any]], Step | Awaitable[Step]]
"""Looks at a request's body and decides the step."""


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived; ``refused`` says why strictness turned it down."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    time: float
    refused: str = ""

    @property
    def model(self) -> str:
        """The model's name in the request."""
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation in the request."""
        return list(self.body.get("messages", []))

    @property
    def key(self) -> str:
        """The API key in the request, "" without one."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class ScriptedModel:
    """Answers each request for a model name with that name's next step, else with ``ok``.

    ``strict`` refuses with 400 what strict endpoints refuse: a tool call without its exactly one
    result, a result without a call, an unknown role. All times are in seconds. A rule or a step
    that raises is raised again when the server is left. Without ``remember`` only the requests
    that strictness refused are kept: for runs of hours.
    """

    def __init__(
        self,
        *,
        strict: bool = True,
        port: int = 0,
        loop_scripts: bool = False,
        remember: bool = True,
    ) -> None:
        self.requests: list[Recorded] = []
        self.embeddings = Embeddings()
        """What is answered to requests for vectors."""
        self.most_at_once: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.connections = 0
        self.port = port
        self._strict = strict
        self._remember = remember
        self._loop_scripts = loop_scripts
        self._scripts: dict[str, deque[Step]] = defaultdict(deque)
        self._rules: dict[str, Rule] = {}
        self._gates: dict[str, deque[Gate]] = defaultdict(deque)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self._failures: list[Exception] = []

    @property
    def url(self) -> str:
        """The base URL that clients are given."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> ScriptedModel:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self.until(lambda: not self.connections)
            await self._server.wait_closed()
        if self._failures and failure is None:
            raise ExceptionGroup("rules or steps of the scripted model failed", self._failures)

    def script(self, model: str, steps: list[Step]) -> None:
        """Add steps, one for each coming request of that model name."""
        self._scripts[model].extend(steps)

    def rule(self, model: str, rule: Rule) -> None:
        """Let a function decide the steps of a model name whenever its script is used up."""
        self._rules[model] = rule

    def hold(self, model: str) -> Gate:
        """Make the next request of a model name wait, before any answer, at the gate returned."""
        gate = Gate()
        self._gates[model].append(gate)
        return gate

    def of(self, model: str) -> list[Recorded]:
        """The requests for one model name."""
        return [request for request in self.requests if request.model == model]

    async def request(self, number: int, timeout: float = 10) -> Recorded:
        """The request of that number, counted from 1; waits for it."""
        await self.until(lambda: len(self.requests) >= number, timeout)
        return self.requests[number - 1]

    async def wait_for(self, wanted: Callable[[Recorded], bool], timeout: float = 10) -> Recorded:
        """The first request, past or to come, that is wanted."""
        found: list[Recorded] = []

        def arrived() -> bool:
            found.extend(request for request in self.requests if wanted(request))
            return bool(found)

        await self.until(arrived, timeout)
        return found[0]

    async def until(self, condition: Callable[[], bool], timeout: float = 10) -> None:
        """Wait until the condition holds, looking again at each request, answer and hang-up."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def _change(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: requests one after another until either side closes it."""
        self.connections += 1
        self._writers.add(writer)
        early = b""
        try:
            while not writer.is_closing():
                head = early + await reader.readuntil(b"\r\n\r\n")
                path, headers = _parse(head)
                body = json.loads(
                    await reader.readexactly(int(headers.get("content-length", 0))) or b"{}"
                )
                async with asyncio.TaskGroup() as group:
                    watch = group.create_task(_until_next(reader))
                    await self._answer(path, headers, body, writer)
                    await writer.drain()
                    watch.cancel()
                early = b"" if watch.cancelled() else watch.result()
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
            self.connections -= 1
            await self._change()

    async def _answer(
        self, path: str, headers: dict[str, str], body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        answer = Answer(body, writer)
        if path.endswith("/embeddings"):
            status, said = self.embeddings.answer(body)
            answer.whole(status, said, {})
            await self._change()
            return
        if not path.endswith("/chat/completions"):
            names = sorted({*self._scripts, *self._rules} or {"scripted"})
            listed = [{"id": name, "object": "model"} for name in names]
            answer.whole(200, json.dumps({"object": "list", "data": listed}), {})
            return
        model = answer.model
        refused = violation(body.get("messages", [])) if self._strict else ""
        if self._remember or refused:
            self.requests.append(Recorded(path, headers, body, time.monotonic(), refused))
        self.at_once[model] += 1
        self.most_at_once[model] = max(self.most_at_once[model], self.at_once[model])
        await self._change()
        try:
            if self._gates[model]:
                await self._gates[model].popleft().passage()
            if refused:
                answer.whole(
                    400, json.dumps(error(f"scripted model: {refused}", "invalid_history")), {}
                )
            else:
                await (await self._step(model, body)).play(answer)
        except ConnectionError:
            raise
        except Exception as failure:
            self._failures.append(failure)
            raise ConnectionAbortedError from failure
        finally:
            self.at_once[model] -= 1
            await self._change()

    async def _step(self, model: str, body: dict[str, Any]) -> Step:
        if self._scripts[model]:
            step = self._scripts[model].popleft()
            if self._loop_scripts:
                self._scripts[model].append(step)
            return step
        if model not in self._rules:
            return say("ok")
        decided = self._rules[model](body)
        return await decided if inspect.isawaitable(decided) else decided


async def _until_next(reader: asyncio.StreamReader) -> bytes:
    """The first byte of the next request; ``ConnectionResetError`` when the client hangs up."""
    byte = await reader.read(1)
    if not byte:
        raise ConnectionResetError
    return byte


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs}


async def _run(port: int, scripts: dict[str, list[dict[str, Any]]], loop_scripts: bool) -> None:
    async with ScriptedModel(port=port, loop_scripts=loop_scripts) as model:
        for name, entries in scripts.items():
            model.script(name, steps_of(entries))
        print(f"READY {model.url}", flush=True)  # noqa: T201 - whoever started the process waits for it
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until interrupted; the first line on stdout is ``READY`` and the base URL."""
    parser = argparse.ArgumentParser(prog="python -m clawd.testing.model", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--script", type=Path, help='a JSON file: {"model name": [step, ...]}')
    parser.add_argument("--loop", action="store_true", help="begin a script again when it ends")
    options = parser.parse_args()
    scripts = json.loads(options.script.read_text("utf-8")) if options.script else {}
    try:
        asyncio.run(_run(options.port, scripts, options.loop))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
