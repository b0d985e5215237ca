"""The terminal screen of the chat: scrollback above, prompt and status line below.

No alternate screen: what is finished is written once above the live part and belongs to the
terminal from then on. The live part is the unfinished tail of an answer, what is queued, the
input and the status line; only that is redrawn, at most twenty times a second.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from prompt_toolkit.application import Application, set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from clawd.cli.chat.history import SessionHistory

REDRAW_SECONDS = 0.05
_INPUT_ROWS = 10

_STYLE = Style.from_dict(
    {
        "status": "noreverse ansibrightblack",
        "prompt": "ansicyan",
        "tail": "",
        "queued": "ansibrightblack",
        "picked": "reverse",
        "completion-menu": "bg:default fg:default",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default",
    }
)


class Screen:
    """One prompt_toolkit application, and the writing above it."""

    def __init__(
        self,
        stdout_output: Output,
        *,
        bindings: KeyBindings,
        completer: Completer,
        above: Callable[[int, int], StyleAndTextTuples],
        below: Callable[[int], str],
        colour: bool,
        plain: bool,
        given_input: Input | None = None,
    ) -> None:
        self._pending: list[str] = []
        self._flush_at = 0.0
        self._redraw_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self.buffer = Buffer(
            multiline=True,
            completer=completer,
            complete_while_typing=False,
            enable_history_search=False,
            tempfile_suffix=".md",
        )
        search = SearchToolbar()
        live = FormattedTextControl(lambda: above(self.size.columns, max(self.size.rows // 3, 3)))
        typed = BufferControl(
            self.buffer,
            input_processors=[BeforeInput("> ", style="class:prompt")],
            search_buffer_control=search.control,
            preview_search=True,
        )
        self._input = Window(
            typed,
            height=Dimension(min=1, max=_INPUT_ROWS),
            wrap_lines=True,
            dont_extend_height=True,
        )
        status = Window(
            FormattedTextControl(lambda: below(self.size.columns)), height=1, style="class:status"
        )
        body = HSplit(
            [
                Window(live, dont_extend_height=True, style="class:tail"),
                self._input,
                search,
                CompletionsMenu(max_height=8),
                ConditionalContainer(status, Condition(lambda: not plain)),
            ]
        )
        self.app: Application[int] = Application(
            Layout(body, focused_element=self._input),
            style=_STYLE,
            key_bindings=bindings,
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            output=stdout_output,
            input=given_input,
            erase_when_done=True,
        )
        # How long an Esc may be the beginning of a longer key before it counts as itself.
        self.app.ttimeoutlen = 0.05
        self.app.timeoutlen = 0.1

    @property
    def size(self) -> Size:
        """The terminal's present size."""
        return self.app.output.get_size()

    def history(self, home: Path, session: str, *, kept: bool) -> None:
        """Use this session's history from now on (``kept`` in a file); what is typed stays."""
        text = self.buffer.document
        self.buffer.history = SessionHistory(home, session) if kept else InMemoryHistory()
        self.buffer.reset(text)

    def text(self, text: str) -> None:
        """Replace what is typed."""
        self.buffer.document = Document(text, len(text))

    def write(self, text: str) -> None:
        """Write finished text above the prompt, together with what else comes at this time."""
        self._pending.append(text)
        self._later()

    def redraw(self) -> None:
        """Draw the live part again, soon."""
        self._later()

    def _later(self) -> None:
        if self._timer is None and self.app.is_running:
            loop = asyncio.get_running_loop()
            wait = max(self._flush_at + REDRAW_SECONDS - loop.time(), 0)
            self._timer = loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if not self.app.is_running or self._held:
            return
        self._flush_at = asyncio.get_running_loop().time()
        if not self._pending:
            self.app.invalidate()
            return
        text = "\n".join(self._pending) + "\n"
        self._pending.clear()
        # As run_in_terminal does, but without leaving raw mode: a key that is pressed in this
        # moment is neither echoed in the wrong place nor lost.
        self.app.renderer.erase(leave_alternate_screen=False)
        self.app.output.write_raw(text.replace("\n", "\r\n"))
        self.app.render_counter += 1
        with set_app(self.app):
            self.app.renderer.render(self.app, self.app.layout)

    def edit(self) -> None:
        """Let $VISUAL or $EDITOR have the text; what arrives meanwhile waits."""
        self._held = True
        self.buffer.open_in_editor().add_done_callback(lambda done: self._release())

    def _release(self) -> None:
        self._held = False
        self._later()

    async def run(self) -> int:
        """Show the screen until somebody leaves; what was not written yet is written then."""
        code = await self.app.run_async(pre_run=self._later)
        for text in self._pending:
            self.app.output.write_raw(text.replace("\n", "\r\n") + "\r\n")
        self._pending.clear()
        self.app.output.flush()
        return code

    def leave(self) -> None:
        """End ``run``."""
        if self.app.is_running:
            self.app.exit(result=0)


def terminal(stdout: TextIO) -> Output:
    """The terminal as prompt_toolkit's output, without questions to it.

    It is never asked for the cursor's position: a terminal that does not answer would cost two
    seconds and a warning, and nothing here needs to know.
    """

    def size() -> Size:
        columns, rows = shutil.get_terminal_size()
        return Size(rows=rows, columns=columns)

    return Vt100_Output(stdout, size, term=os.environ.get("TERM"), enable_cpr=False)
