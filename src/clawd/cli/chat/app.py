"""The interactive chat: the screen, the daemon's events and the keys, tied together."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import is_dumb_terminal

from clawd.cli.chat import asks
from clawd.cli.chat.completion import ChatCompleter
from clawd.cli.chat.desk import Desk, said
from clawd.cli.chat.keys import bindings
from clawd.cli.chat.lines import Line, View, lines_of
from clawd.cli.chat.link import Link
from clawd.cli.chat.picker import Picker
from clawd.cli.chat.render import Renderer, last_rows
from clawd.cli.chat.screen import Screen, terminal
from clawd.cli.chat.slash import COMMANDS, help_lines, send
from clawd.cli.chat.statusline import status_line
from clawd.cli.chat.turns import Turns
from clawd.cli.chat.waiting import waiting_lines
from clawd.cli.clean import one_line
from clawd.cli.client import JSON, Client
from clawd.cli.events import Change
from clawd.cli.invocation import Invocation
from clawd.cli.nearest import naming_the_nearest
from clawd.cli.output import wants_colour
from clawd.errors import ClawdError, DaemonUnreachable, Invalid
from clawd.nearest import nearest

LEAVE_SECONDS = 2.0
_CHANGES = frozenset(
    {
        "run_finished", "run_failed", "run_suspended", "session_message", "session_changed",
        "task_updated", "approval_requested", "approval_settled",
    }
)  # fmt: skip
"""Events after which the status line may be another."""


def talk(invocation: Invocation, session: JSON, *, new: bool) -> int:
    """Run the chat with this session until somebody leaves; the exit code."""
    if is_dumb_terminal():
        raise Invalid(
            "dumb_terminal",
            "the chat needs a terminal that can move its cursor (TERM is dumb)",
            hint='one answer works anywhere: clawd chat -p "..."',
        )
    return asyncio.run(Chat(invocation, session).run(new=new))


class Chat:
    """One terminal's view of one session at a time. All methods run on the event loop."""

    def __init__(self, invocation: Invocation, session: JSON) -> None:
        self.client: Client = invocation.client
        self.home = invocation.home
        self.link = Link(self.client, self._show, self._problem)
        plain = invocation.plain
        colour = wants_colour(sys.stdout, plain=plain, no_color=invocation.no_color)
        self.view = View(str(session["id"]), plain=plain, detail=invocation.verbose)
        self.turns = Turns(session)
        self.render = Renderer(colour=colour, plain=plain)
        self.picker: Picker | None = None
        self.names: list[str] = []
        self.left_at = -math.inf
        self.screen = Screen(
            terminal(sys.stdout),
            bindings=bindings(self),
            completer=ChatCompleter(lambda: self.names, lambda: self.turns.open_tasks),
            above=self._above,
            below=lambda columns: status_line(self.turns.standing(time.monotonic()), columns),
            colour=colour,
            plain=plain,
        )

    @property
    def session(self) -> str:
        """The session that lines go to."""
        return self.view.session

    @property
    def desk(self) -> Desk:
        """What a command about the present session has at hand."""
        return Desk(self.client, self.session, self.view)

    async def run(self, *, new: bool) -> int:
        """Show the screen, follow the events, send what is typed."""
        self._history()
        async with self.link.open():
            if new:
                self._in_order(asks.reset)
            self._greet()
            self._refresh()
            self.link.follow(self._wanted, self._take, self._connection)
            self.link.every_second(self.screen.redraw)
            code = await self.screen.run()
        print(f"the daemon goes on; come back with: clawd chat -s {self.session}", file=sys.stderr)
        return code

    # What arrives.

    def _wanted(self, name: str, data: bytes) -> bool:
        # Other sessions' words are not shown, so they are not even decoded.
        of_a_run = name.startswith(("text_message_", "tool_call_", "run_", "usage", "prompt_"))
        return not of_a_run or f'"session":"{self.session}"'.encode() in data

    def _take(self, event: JSON) -> None:
        blocks = self.turns.take(event, time.monotonic())
        for block in blocks:
            self.screen.write(self.render.block(block, self.screen.size.columns) + "\n")
        self._show(lines_of(event, self.view) + waiting_lines(event, self.view))
        if event.get("event") in _CHANGES or event.get("code") in ("paused", "resumed"):
            self._refresh()
        self.screen.redraw()

    def _connection(self, change: Change) -> None:
        text, style = {
            "lost": ("the daemon has gone; waiting for it", "yellow"),
            "back": ("connected again", "green"),
            "restarted": ("the daemon was started anew; going on", "green"),
        }[change]
        self._show([((f"{self.view.mark('!')} {text}", style),)])
        if change == "lost":
            self.turns.lost()
        else:
            self._refresh()

    def _problem(self, problem: ClawdError) -> None:
        self._show([((f"{self.view.mark('✗')} {problem.message}", "red"),)])
        if problem.hint:
            self._show([said(f"  {problem.hint}", "dim")])

    def _show(self, lines: list[Line]) -> None:
        for line in lines:
            self.screen.write(self.render.line(line, self.screen.size.columns))

    def _above(self, columns: int, rows: int) -> StyleAndTextTuples:
        if self.picker is not None:
            return self.picker.rows(self.screen.buffer.text, columns, rows)
        fragments: StyleAndTextTuples = []
        if self.view.plain:
            return fragments
        if self.turns.tail:
            fragments += [("", row + "\n") for row in last_rows(self.turns.tail, columns, rows)]
        elif self.turns.running:
            waited = f"working {time.monotonic() - self.turns.since:.0f} s · Esc stops\n"
            fragments.append(("class:queued", waited))
        if self.turns.queued and self.turns.running:
            first = one_line(next(iter(self.turns.queued.values())), max(columns - 20, 8))
            fragments.append(("class:queued", f"{len(self.turns.queued)} queued: {first}\n"))
        return fragments

    # What is asked of the daemon.

    def _refresh(self) -> None:
        if not self.turns.refreshing:
            self.turns.refreshing = True
            desk, turns = self.desk, self.turns

            def fetch() -> list[Line]:
                try:
                    self.link.post(self._refreshed, asks.everything(desk))
                except DaemonUnreachable:
                    pass  # the event stream says so already, and says when it is back
                finally:
                    turns.refreshing = False
                return []

            self.link.aside(fetch)

    def _refreshed(self, answers: tuple[JSON, list[JSON], list[JSON], int]) -> None:
        found, everyone, tasks, mail = answers
        self.names = [str(item["id"]) for item in everyone]
        if found["id"] == self.session:
            self.turns.refreshed(found, tasks, mail)
        self.screen.redraw()

    def _in_order(self, ask: Callable[[Desk], list[Line]]) -> None:
        desk = self.desk
        self.link.in_order(lambda: ask(desk))

    def _greet(self) -> None:
        model = self.turns.model
        self._in_order(lambda desk: asks.greeting(desk, model))

    def _prompt(self, text: str, mode: str) -> None:
        self._in_order(lambda desk: asks.prompt(desk, text, mode))

    # What the keys do.

    @property
    def picking(self) -> bool:
        """Whether the session picker is open."""
        return self.picker is not None

    def accept(self, text: str) -> None:
        """A line was entered: a command, ``@session text``, or a prompt."""
        if text.startswith("//"):
            text = text[1:]
        elif text.startswith("/") and (name := text[1:].split(maxsplit=1)[:1]):
            self._command(name[0], text[1 + len(name[0]) :].strip())
            return
        elif text.startswith("@") and " " in text.strip():
            line = text.strip()
            self._in_order(lambda desk: send(desk, line))
            return
        self._prompt(text, "queue")

    def _command(self, name: str, argument: str) -> None:
        own: dict[str, Callable[[], None]] = {
            "help": lambda: self._show(help_lines(self.screen.size.columns)),
            "quit": self.leave,
            "stop": self.stop,
            "verbose": self.toggle_detail,
            "new": lambda: self._in_order(asks.reset),
            "steer": lambda: self._prompt(argument, "steer"),
            "interrupt": lambda: self._prompt(argument, "interrupt"),
            "switch": lambda: self.switch(argument.removeprefix("@")),
        }
        if name in own:
            if name in ("steer", "interrupt") and not argument:
                self._show([said(f"usage: /{name} TEXT", "red")])
            else:
                own[name]()
            return
        handler = COMMANDS[name][2] if name in COMMANDS else None
        if handler is None:
            near = nearest(name, COMMANDS)
            guess = f"; did you mean /{near}?" if near else "; /help lists them"
            self._show([said(f"there is no command /{one_line(name, 40)}{guess}", "red")])
            return
        desk, work = self.desk, handler
        self.link.aside(lambda: work(desk, argument))

    def switch(self, session: str) -> None:
        """Talk to another session from now on."""

        def check(desk: Desk) -> list[Line]:
            with naming_the_nearest(self.client, "/api/sessions", session):
                self.link.post(self._switched, self.client.get(desk.path))
            return []

        if session:
            desk = Desk(self.client, session, self.view)
            self.link.in_order(lambda: check(desk))
        else:
            self.pick()

    def _switched(self, found: JSON) -> None:
        self.view = View(str(found["id"]), detail=self.view.detail, plain=self.view.plain)
        self.turns = Turns(found, since=self.turns.opened)
        self._history()
        self._greet()
        self._refresh()

    def _history(self) -> None:
        """What is typed is kept, unless the session's content is to be sealed."""
        self.screen.history(self.home, self.session, kept=not self.turns.encrypted)

    def stop(self) -> None:
        """Stop the turn, if one runs."""
        desk = self.desk
        if self.turns.running:
            self.link.aside(lambda: asks.cancel(desk))

    def interrupted(self) -> None:
        """Ctrl+C: stop the turn, else clear the input, else leave at the second press."""
        if self.turns.running:
            self.stop()
        elif self.screen.buffer.text:
            self.screen.buffer.reset()
        elif time.monotonic() - self.left_at <= LEAVE_SECONDS:
            self.leave()
        else:
            self.left_at = time.monotonic()
            self._show([said("Ctrl+C again leaves", "dim")])

    def leave(self) -> None:
        """Leave the chat; the daemon goes on."""
        self.screen.leave()

    def take_back(self) -> None:
        """Put the last queued line back into the input."""
        if not self.turns.queued:
            return
        turn, desk = next(reversed(self.turns.queued)), self.desk

        def withdraw() -> list[Line]:
            self.link.post(self._taken_back, (turn, asks.withdraw(desk, turn)))
            return []

        self.link.aside(withdraw)

    def _taken_back(self, answer: tuple[str, str | None]) -> None:
        turn, text = answer
        self.turns.queued.pop(turn, None)
        if text:
            typed = self.screen.buffer.text
            self.screen.text(f"{text}\n{typed}" if typed else text)
        self.screen.redraw()

    def toggle_detail(self) -> None:
        """Tool detail on or off."""
        self.view.detail = not self.view.detail
        self._show([said(f"tool detail is {'on' if self.view.detail else 'off'}", "dim")])

    def edit(self) -> None:
        """Open the editor."""
        self.screen.edit()

    def pick(self) -> None:
        """Open the session picker."""

        def fetch() -> list[Line]:
            self.link.post(self._open_picker, self.client.get("/api/sessions").get("items", []))
            return []

        self.link.aside(fetch)

    def _open_picker(self, sessions: list[JSON]) -> None:
        if self.picker is None:
            self.picker = Picker(sessions, self.screen.buffer.text)
            self.screen.text("")
            self.screen.redraw()

    def picker_moved(self, by: int) -> None:
        """Up or down in the picker."""
        if self.picker is not None:
            self.picker.moved(by, self.screen.buffer.text)

    def picked(self, chosen: bool) -> None:
        """The picker ends; the draft comes back."""
        if self.picker is None:
            return
        picker, self.picker = self.picker, None
        session = picker.chosen(self.screen.buffer.text) if chosen else None
        self.screen.text(picker.draft)
        if session and session != self.session:
            self.switch(session)
