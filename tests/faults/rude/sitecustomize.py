"""Put on a daemon's ``PYTHONPATH``: tools that misbehave in every way, and a storm of collections.

Python imports a module of this name at its start. It changes nothing but the tools that sessions
have, and with ``RUDE_STORM`` collects garbage all the time, which ends tasks that nobody owns.
"""

from __future__ import annotations

import asyncio
import builtins
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

if sys.argv[-4:-2] == ["daemon", "run"] or "daemon" in sys.orig_argv:
    from clawd.agent.tool import Answer, Tool, bind, tool
    from clawd.agent.toolset import Toolset
    from clawd.bus.port import Envelope
    from clawd.comms.caller import Caller
    from clawd.sessions.ending import TurnEnding
    from clawd.sessions.intake import Intake
    from clawd.sessions.records import TurnRecord
    from clawd.sessions.toolsets import Toolsets

    _toolset = Toolsets.toolset
    _turn_for = Intake.turn_for
    _settle = TurnEnding.settle

    class RudeTools:
        """Tools as nobody should write them."""

        @tool()
        async def raise_error(self, name: str) -> Answer:
            """Raise an error by its name.

            Args:
                name: Its class, a built-in one.
            """
            kind = getattr(builtins, name, None) or asyncio.CancelledError
            raise kind("rude")

        @tool()
        async def raise_in_a_task(self, name: str) -> Answer:
            """Raise an error in a task of one's own.

            Args:
                name: Its class, a built-in one.
            """
            async with asyncio.TaskGroup() as group:
                group.create_task(self.raise_error(name))
            return Answer("unreachable")

        @tool()
        async def block(self, seconds: float) -> Answer:
            """Block the event loop.

            Args:
                seconds: For how long.
            """
            stand_still(seconds)
            return Answer("done")

        @tool(seconds=3600)
        async def hang(self) -> Answer:
            """Never come back."""
            await asyncio.get_running_loop().create_future()
            return Answer("unreachable")

        @tool(seconds=3600)
        async def cling(self) -> Answer:
            """Never come back, not even when cancelled."""
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue

        @tool()
        async def flood(self, megabytes: int) -> Answer:
            """Answer with a lot.

            Args:
                megabytes: How much.
            """
            return Answer("x" * (megabytes << 20))

    def stand_still(seconds: float) -> None:
        """Say so in the pipe ``blocked`` of the home, if there is one, and sleep."""
        pipe = Path(sys.argv[-1], "blocked")
        if pipe.exists():
            pipe.write_bytes(b"now")
        time.sleep(seconds)

    def toolset(self: Toolsets, caller: Caller) -> Toolset:
        """The session's tools, and the rude ones."""
        polite = _toolset(self, caller)
        rude: dict[str, Tool] = bind(RudeTools())
        return Toolset({name: polite.get(name) for name in polite.names()} | rude)

    async def turn_for(self: Intake, envelope: Envelope) -> TurnRecord | None:
        """Crash the loop of the session ``looping`` for each request."""
        if self._session == "looping":
            raise RuntimeError("it crashes whatever it is given")
        return await _turn_for(self, envelope)

    async def settle(self: TurnEnding, turn: TurnRecord, *outcome: Any) -> None:
        """Crash the session ``ending`` when a turn of it ends."""
        if self._settings().id == "ending" and "crash" in str(self._transcript.of_turn(turn.id)):
            raise RuntimeError("it crashes when its turn ends")
        await _settle(self, turn, *outcome)

    TurnEnding.settle = settle  # type: ignore[method-assign,assignment]
    Toolsets.toolset = toolset  # type: ignore[method-assign]
    Intake.turn_for = turn_for  # type: ignore[method-assign]

    if os.environ.get("RUDE_STORM"):

        def storm() -> None:
            """Collect all the time."""
            while True:
                time.sleep(0.02)
                gc.collect()

        threading.Thread(target=storm, daemon=True).start()
