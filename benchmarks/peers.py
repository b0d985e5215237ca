"""The peers, in an environment of their own: what others take for the same work.

    PYTHON peers.py turns URL | sends | redis FOLDER

PYTHON is that of an environment which ``scripts/benchmark --peers`` makes. The last line on stdout
is JSON: for turns CPU and wall seconds by peer and case, otherwise what happens in a second.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SYSTEM = "You are a helpful agent. " * 40
MODELS = {"text": "text-32", "tools": "tools-5-noop"}
TINY = bool(os.environ.get("BENCHMARK_TINY"))
Turn = Callable[[str], Awaitable[str]]


async def noop(limit: int) -> str:
    """Do nothing."""
    return "ok"


def autogen(url: str) -> Turn:
    """AutoGen's assistant, one for each turn as its documentation makes them."""
    agents = importlib.import_module("autogen_agentchat.agents")
    models = importlib.import_module("autogen_ext.models.openai")
    known = ("vision", "json_output", "structured_output")
    about = {"function_calling": True, "family": "unknown", **dict.fromkeys(known, False)}
    clients = {
        model: models.OpenAIChatCompletionClient(
            model=model, base_url=url, api_key="x", max_retries=0, model_info=about
        )
        for model in MODELS.values()
    }

    async def turn(model: str) -> str:
        agent = agents.AssistantAgent(
            "a",
            clients[model],
            tools=[noop],
            system_message=SYSTEM,
            model_client_stream=True,
            max_tool_iterations=10,
        )
        last = None
        async for event in agent.run_stream(task="Please do the thing."):
            last = event
        assert last is not None
        return str(last.messages[-1].to_text())

    return turn


def openai_agents(url: str) -> Turn:
    """The OpenAI Agents SDK, streamed."""
    agents = importlib.import_module("agents")
    openai = importlib.import_module("openai")
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0)
    made = {
        model: agents.Agent(
            name="a",
            instructions=SYSTEM,
            tools=[agents.function_tool(noop)],
            model=agents.OpenAIChatCompletionsModel(model, client),
            model_settings=agents.ModelSettings(include_usage=True),
        )
        for model in MODELS.values()
    }

    async def turn(model: str) -> str:
        run = agents.Runner.run_streamed(made[model], "Please do the thing.", max_turns=20)
        async for _ in run.stream_events():
            pass
        return str(run.final_output)

    return turn


async def turns(url: str) -> dict[str, dict[str, tuple[float, float]]]:
    """CPU and wall seconds of a turn, by peer and case."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name, make in (("autogen", autogen), ("openai-agents", openai_agents)):
        turn = make(url)
        for case, model in MODELS.items():
            count = 1 if TINY else 40
            await turn(model)
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(count):
                text = await turn(model)
                assert text.startswith("tok0 "), text
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            found.setdefault(name, {})[case] = (cpu / count, wall / count)
    return found


@dataclass
class Said:
    """A message of autogen-core."""

    content: str


async def sends() -> dict[str, float]:
    """Messages a second between a hundred agents of autogen-core, each awaited; and CPU of one."""
    core = importlib.import_module("autogen_core")

    class Receiver(core.RoutedAgent):  # type: ignore[misc, name-defined]
        """Takes messages."""

        def __init__(self) -> None:
            super().__init__("a")

        @core.message_handler  # type: ignore[untyped-decorator]
        async def on(self, message: Said, ctx: Any) -> None:
            """Take one."""

    Receiver.on.__annotations__ |= {"message": Said, "ctx": core.MessageContext}
    runtime = core.SingleThreadedAgentRuntime()
    await Receiver.register(runtime, "a", Receiver)
    runtime.start()
    message, each = Said("c" * 200), 3 if TINY else 40

    async def one(number: int) -> None:
        for count in range(each):
            await runtime.send_message(message, core.AgentId("a", str((number + count) % 100)))

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(one(number))
    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(one(number))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await runtime.stop()
    return {"rate": 100 * each / wall, "cpu": cpu / (100 * each)}


async def redis(folder: str) -> dict[str, float]:
    """Lines a second through redis-py, append-only file synced always, a hundred writers."""
    client = importlib.import_module("redis.asyncio")
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("there is no redis-server on PATH")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = "--bind 127.0.0.1 --appendonly yes --appendfsync always --save".split()
    command = [program, "--port", port, "--dir", folder, *options, ""]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    each = 3 if TINY else 100
    try:
        # One client, as is documented: it pipelines nothing, each writer awaits its own line.
        async with client.Redis(port=int(port), max_connections=100) as store:
            async with asyncio.timeout(10):
                while True:
                    with suppress(Exception):
                        await store.ping()
                        break
                    await asyncio.sleep(0.05)

            async def write() -> None:
                for _ in range(each):
                    await store.rpush("log", b"c" * 350)

            await write()
            wall = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(100):
                    group.create_task(write())
            return {"rate": 100 * each / (time.perf_counter() - wall)}
    finally:
        server.terminate()
        await server.wait()


def main() -> None:
    """Measure what is asked for."""
    logging.disable(logging.CRITICAL)
    what, *rest = sys.argv[1:]
    kinds: dict[str, Callable[..., Awaitable[object]]] = {
        "turns": turns,
        "sends": sends,
        "redis": redis,
    }

    async def run() -> object:
        return await kinds[what](*rest)

    print(json.dumps(asyncio.run(run())))


if __name__ == "__main__":
    main()
