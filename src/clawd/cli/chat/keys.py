"""The keys of the chat."""

from __future__ import annotations

from typing import Protocol

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, Filter, has_completions, is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


class Acts(Protocol):
    """What keys can do."""

    @property
    def picking(self) -> bool:
        """Whether the session picker is open."""

    def accept(self, text: str) -> None:
        """A line was entered."""

    def stop(self) -> None:
        """Stop the turn, if one runs."""

    def interrupted(self) -> None:
        """Ctrl+C."""

    def leave(self) -> None:
        """Leave the chat."""

    def take_back(self) -> None:
        """Put the last queued line back into the input."""

    def toggle_detail(self) -> None:
        """Tool detail on or off."""

    def edit(self) -> None:
        """Open the editor."""

    def pick(self) -> None:
        """Open the session picker."""

    def picker_moved(self, by: int) -> None:
        """Up or down in the picker."""

    def picked(self, chosen: bool) -> None:
        """The picker ends, with a choice or without."""


def bindings(acts: Acts) -> KeyBindings:
    """The key table; what is not in it is prompt_toolkit's Emacs keys."""
    keys = KeyBindings()
    picking = Condition(lambda: acts.picking)
    _typing_keys(keys, acts, ~is_searching & ~picking)
    _acting_keys(keys, acts, ~is_searching & ~picking)
    _picking_keys(keys, acts, picking)
    return keys


def _typing_keys(keys: KeyBindings, acts: Acts, typing: Filter) -> None:
    @keys.add("enter", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.apply_completion(buffer.complete_state.current_completion)
        elif buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            _entered(buffer, acts)

    @keys.add("c-j", filter=typing)
    @keys.add("escape", "enter", filter=typing)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("tab", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
        else:
            buffer.start_completion(insert_common_part=True)

    @keys.add("s-tab", filter=typing & has_completions)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.complete_previous()


def _acting_keys(keys: KeyBindings, acts: Acts, typing: Filter) -> None:
    @keys.add("escape", filter=typing)
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.complete_state:
            event.current_buffer.cancel_completion()
        else:
            acts.stop()

    @keys.add("c-c", filter=typing)
    @keys.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        acts.interrupted()

    @keys.add("c-d", filter=typing)
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.delete()
        else:
            acts.leave()

    @keys.add("escape", "up", filter=typing)
    def _(event: KeyPressEvent) -> None:
        acts.take_back()

    @keys.add("c-o")
    def _(event: KeyPressEvent) -> None:
        acts.toggle_detail()

    @keys.add("c-g", filter=typing)
    @keys.add("c-x", "c-e", filter=typing)
    def _(event: KeyPressEvent) -> None:
        acts.edit()

    @keys.add("c-p", filter=typing)
    def _(event: KeyPressEvent) -> None:
        acts.pick()


def _picking_keys(keys: KeyBindings, acts: Acts, picking: Filter) -> None:
    @keys.add("up", filter=picking)
    @keys.add("c-p", filter=picking)
    def _(event: KeyPressEvent) -> None:
        acts.picker_moved(-1)

    @keys.add("down", filter=picking)
    @keys.add("c-n", filter=picking)
    @keys.add("tab", filter=picking)
    def _(event: KeyPressEvent) -> None:
        acts.picker_moved(1)

    @keys.add("enter", filter=picking)
    def _(event: KeyPressEvent) -> None:
        acts.picked(True)

    @keys.add("escape", filter=picking)
    @keys.add("c-c", filter=picking)
    @keys.add("c-d", filter=picking)
    def _(event: KeyPressEvent) -> None:
        acts.picked(False)


def _entered(buffer: Buffer, acts: Acts) -> None:
    text = buffer.text
    if not text.strip():
        return
    buffer.append_to_history()
    buffer.reset()
    acts.accept(text)
